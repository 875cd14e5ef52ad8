"""What stands before every request: who asks, how much is sent and how slowly, what is logged; and every error is JSON.

A line of the log holds nothing that a client chose: no body, no header, no query, no path but those that there are.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from attnpred.inference.serving.metrics import Metrics
from attnpred.inference.serving.options import Limits

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
App = Callable[[Any, Any, Any], Awaitable[None]]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class Refused(Exception):
    """A request that is not answered, with why: a status of HTTP, a word for programs, a line for people."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.more = status, more
        self.body = {"error": {"code": code, "message": message, **more}}

    def headers(self) -> list[tuple[bytes, bytes]]:
        found = [(b"content-type", b"application/json")]
        if "retry_after_seconds" in self.more:
            found.append((b"retry-after", str(max(1, round(self.more["retry_after_seconds"]))).encode()))
        if self.status == 401:
            found.append((b"www-authenticate", b"Bearer"))
        if self.status in (408, 413):  # what is left of the body is not waited for
            found.append((b"connection", b"close"))
        return found


class Guard:
    def __init__(
        self, app: App, limits: Limits, keys: Mapping[str, bytes], metrics: Metrics, paths: set[str], *, log: bool
    ) -> None:
        self._app, self._limits, self._keys, self._metrics, self._log = app, limits, keys, metrics, log
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def sending(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        try:
            scope["asked_by"] = self._who(scope)
            await self._app(scope, self._bounded(scope, receive, began), sending)
        except Refused as error:
            if not status:
                await _respond(sending, error)
        except Exception as error:
            _tell(error)
            if not status:
                await _respond(sending, Refused(500, "internal", "the service failed; its log says where"))
        finally:
            self._note(scope, status, time.monotonic() - began)

    def _who(self, scope: Scope) -> str | None:
        """By whose key a request comes; None where none is asked for."""
        if not self._keys or not scope["path"].startswith("/v1/"):
            return None
        given = b""
        for name, value in scope["headers"]:
            if name == b"x-api-key":
                given = value
            elif name == b"authorization" and value[:7].lower() == b"bearer ":
                given = value[7:].strip()
        digest = hashlib.sha256(given).digest()
        # all are compared, so that the time tells nothing
        found = [who for who, known in self._keys.items() if hmac.compare_digest(known, digest)]
        if not found:
            raise Refused(401, "unauthorized", "give a key of this service, as Authorization: Bearer KEY")
        return found[0]

    def _bounded(self, scope: Scope, receive: Receive, began: float) -> Receive:
        """The body, as far as it comes in time and is not too large."""
        most, read = self._limits.max_body_bytes, 0
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > most):
                raise _too_large(most)

        async def receiving() -> dict[str, Any]:
            nonlocal read
            try:
                async with asyncio.timeout(max(0.0, began + self._limits.slow_seconds - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise Refused(408, "slow", f"the body took longer than {self._limits.slow_seconds:g} s") from None
            read += len(message.get("body", b""))
            if read > most:
                raise _too_large(most)
            return message

        return receiving

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"] if scope["path"] in self._paths else "other"
        self._metrics.answered(path, status, seconds)
        if not self._log:
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        who = f" by {scope['asked_by']}" if scope.get("asked_by") else ""
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        # a client that has left is told nothing: that is no status of HTTP
        sys.stderr.write(f"{now} {method} {path} {status or 'left'} {1000 * seconds:.1f} ms{who}\n")


def _tell(error: BaseException) -> None:
    """Where the service failed, without the error's own words: they may hold what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)
    where = "".join(f"  {frame.filename}:{frame.lineno} in {frame.name}\n" for frame in frames)
    sys.stderr.write(f"the service failed: {type(error).__name__}\n{where}")


def _too_large(most: int) -> Refused:
    return Refused(413, "too_large", f"the body is larger than {most:,} bytes", most_bytes=most)


async def _respond(send: Send, error: Refused) -> None:
    body = json.dumps(error.body).encode()
    headers = [*error.headers(), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
