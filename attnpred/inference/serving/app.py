"""The service: what is asked for at which path."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from attnpred.console.say import say
from attnpred.errors import BadInput, UserError
from attnpred.inference.serving import requests
from attnpred.inference.serving.batcher import Answer, Overloaded, Stopping
from attnpred.inference.serving.guard import Guard, Refused
from attnpred.inference.serving.metrics import Metrics
from attnpred.inference.serving.models import Model, Models
from attnpred.inference.serving.options import Options, Served
from attnpred.inference.serving.page import render
from attnpred.version import __version__

LARGE = 2**18  # bytes of a body that a thread reads, so that the loop does not wait
ADMIN = "admin"  # the name whose key may have models loaded anew


class Service:
    """Models, and how requests come to them."""

    def __init__(self, options: Options, loaded: list[Any], load: Any = Model, *, log: bool = True) -> None:
        """`loaded`: a model for each that the options name, in their order; `load` makes them anew."""
        self.options, self.loaded = options, loaded
        self.metrics = Metrics()
        self.models = Models(options.precision, options.limits, self.metrics.batch, load)
        self.ready = False
        self._log = log
        self._reloading = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    def app(self) -> Any:
        """The application, for a server of ASGI."""
        # its own pages of documentation would ask the network for scripts
        app = FastAPI(title="attnpred", version=__version__, lifespan=self._life, docs_url=None, redoc_url=None)
        for kind in (Refused, HTTPException, Exception):
            app.add_exception_handler(kind, _refuse)
        describe: dict[str, Any] = {"response_class": JSONResponse}
        app.get("/", include_in_schema=False)(self._page)
        app.get("/health", summary="Whether the process works.", **describe)(self._health)
        app.get("/ready", summary="Whether it takes requests.", **describe)(self._ready)
        app.get("/metrics", summary="Numbers for Prometheus.", response_class=Response)(self._metrics)
        app.get("/v1/models", summary="What is served.", **describe)(self._list)
        app.post("/v1/predict", summary="Answers, with attention.", openapi_extra=requests.schema(), **describe)(
            self._predict
        )
        app.post("/v1/reload", summary="Loads every model anew.", **describe)(self._reload)
        paths = {"/", "/health", "/ready", "/metrics", "/v1/models", "/v1/predict", "/v1/reload", "/openapi.json"}
        return Guard(app, self.options.limits, self.options.keys, self.metrics, paths, log=self._log)

    @asynccontextmanager
    async def _life(self, app: FastAPI) -> AsyncIterator[None]:
        for model in self.loaded:
            self.models.add(model)
        self.ready = True
        yield
        self.ready = False
        await self.models.close()
        await asyncio.gather(*self._closing)

    async def reload(self) -> dict[str, str]:
        """Loads every model as it lies on disk now; what was wrong with any, by its name and version.

        Requests go on meanwhile, and the old model answers those that it took.
        """
        wrong = {}
        async with self._reloading:
            for served in [model.served for model, _ in self.models.every()]:
                try:
                    model = await asyncio.to_thread(self.models.loaded_anew, served)
                except (UserError, OSError) as error:
                    wrong[f"{served.name} {served.version}"] = str(error)
                    say(f"not loaded anew: {served.name} {served.version}: {error}")
                    continue
                self._retire(self.models.add(model), served)
        return wrong

    def _retire(self, before: Any, served: Served) -> None:
        say(f"loaded anew: {served.name} {served.version}")
        if before is not None:
            task = asyncio.create_task(before.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _page(self) -> Response:
        page, policy = render([model.describe() for model, _ in self.models.every()], bool(self.options.keys))
        return Response(page, media_type="text/html", headers={"content-security-policy": policy})

    async def _health(self) -> JSONResponse:
        broken = [model.served.name for model, batcher in self.models.every() if not batcher.alive]
        return JSONResponse({"status": "broken" if broken else "ok"}, 503 if broken else 200)

    async def _ready(self) -> JSONResponse:
        return JSONResponse({"status": "ready" if self.ready else "not ready"}, 200 if self.ready else 503)

    async def _metrics(self) -> Response:
        text = await asyncio.to_thread(self.metrics.text, self.models)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def _list(self) -> JSONResponse:
        return JSONResponse({"models": [model.describe() for model, _ in self.models.every()]})

    async def _reload(self, request: Request) -> JSONResponse:
        if request.scope["asked_by"] != ADMIN:
            raise Refused(
                403, "forbidden", f"only the key of {ADMIN} has models loaded anew; or send the process SIGHUP"
            )
        wrong = await self.reload()
        return JSONResponse({"wrong": wrong}, 409 if wrong else 200)

    async def _predict(self, request: Request) -> Response:
        began = time.monotonic()
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "not_json", "send JSON, with Content-Type: application/json")
        try:
            body = await request.body()
        except ClientDisconnect:
            raise Refused(499, "left", "the client left before its request was whole") from None
        asked = requests.parse(body, self.options.limits.max_inputs)
        model, answers = await self._answers(asked, len(body), began)
        bad = [one for one in answers if isinstance(one, BadInput)]
        if bad and asked.inputs is None:
            raise Refused(422, "bad_input", str(bad[0]))
        told = [_told(one) for one in answers]
        served = {"model": model.served.name, "version": model.served.version}
        return Response(json.dumps({**served, "answers": told}).encode(), media_type="application/json")

    async def _answers(self, asked: requests.Ask, size: int, began: float) -> tuple[Any, list[Answer]]:
        """From whichever model has the name at the moment in which the queue takes the inputs."""
        left = began + self.options.limits.request_seconds - time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0.0)):
                while True:
                    try:
                        return await self._asked(asked, size)
                    except Stopping:  # another took its place in between
                        if not self.ready:
                            raise Refused(503, "stopping", "the service is being stopped") from None
        except TimeoutError:
            seconds = self.options.limits.request_seconds
            raise Refused(504, "timeout", f"there was no answer within {seconds:g} s") from None
        except Overloaded as error:
            more = {"waiting": self.options.limits.max_queue, "retry_after_seconds": round(error.seconds, 1)}
            raise Refused(429, "overloaded", f"{error}, which is all there is room for; ask later", **more) from None
        except UserError as error:  # such as an explainer that this model has no layer for
            raise Refused(422, "invalid", str(error)) from None

    async def _asked(self, asked: requests.Ask, size: int) -> tuple[Any, list[Answer]]:
        while True:
            model, batcher = self._found(asked)
            given = model, asked.values()
            values, errors = _received(*given) if size < LARGE else await asyncio.to_thread(_received, *given)
            if self._found(asked)[0] is model:
                break
        good = [value for value, error in zip(values, errors, strict=True) if error is None]
        found = iter(await batcher.ask(good, asked.explainer, asked.attention) if good else [])
        return model, [next(found) if error is None else error for error in errors]

    def _found(self, asked: requests.Ask) -> Any:
        try:
            found = self.models.find(asked.model, asked.version)
        except KeyError as error:
            raise Refused(404, "no_such_model", error.args[0]) from None
        if asked.explainer is not None and asked.explainer not in found[0].explainers:
            known = ", ".join(found[0].explainers) or "none"
            raise Refused(422, "invalid", f"explainer: there is none of that name; this model has {known}")
        if asked.explainer is not None and not asked.attention:
            raise Refused(422, "invalid", "explainer: makes a map, which attention=false leaves out; give one of them")
        return found


def _received(model: Any, values: list[Any]) -> tuple[list[Any], list[BadInput | None]]:
    """The inputs as the model's reader takes them, and what is wrong with those that it does not."""
    found: list[Any] = []
    errors: list[BadInput | None] = []
    for place, value in enumerate(values):
        try:
            found.append(model.received(value, place))
            errors.append(None)
        except BadInput as error:
            found.append(None)
            errors.append(error)
    return found, errors


def _told(answer: Answer) -> dict[str, Any]:
    return {"error": str(answer)} if isinstance(answer, BadInput) else answer


async def _refuse(request: Request, error: Exception) -> Response:
    """Every error in one form."""
    if isinstance(error, HTTPException):
        error = Refused(error.status_code, "http", str(error.detail))
    if not isinstance(error, Refused):
        error = Refused(500, "internal", "the service failed; its log says where")
    headers = {name.decode(): value.decode() for name, value in error.headers()}
    return Response(json.dumps(error.body).encode(), error.status, headers)
