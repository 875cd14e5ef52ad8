"""Services for tests: of a model that is made up, within the process or at a port, and of runs."""

import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from attnpred.errors import BadInput
from attnpred.inference.serving.options import Limits, Options, Served


class Fake:
    """Answers with the input turned around; `hold` keeps it waiting, and "poison" makes it fail."""

    explainers = ("attention",)

    def __init__(self, name="fake", version="1", word=""):
        self.served = Served(name=name, version=version, path=None)
        self.loaded = time.time()
        self.word = word
        self.batches = []
        self.free = threading.Event()
        self.free.set()
        self.started = threading.Event()

    def describe(self):
        known = {"name": self.served.name, "version": self.served.version, "input": "text"}
        fields = [{"name": None, "kind": "text", "fit": None}]
        return {
            **known,
            "fields": fields,
            "answers": [],
            "explainers": list(self.explainers),
            "precision": "32-true",
            "weights": "0",
        }

    def drift(self):
        return []

    def received(self, value, position):
        if not isinstance(value, str):
            raise BadInput("the model reads a text", position)
        return value

    def work(self, values, explainer, attention):
        self.started.set()
        self.free.wait(30)
        self.batches.append(list(values))
        if "poison" in values:
            raise RuntimeError("secret text of a client")
        return [
            BadInput("unreadable", 0) if one == "bad" else {"answer": one[::-1] + self.word, "confidence": None}
            for one in values
        ]


@pytest.fixture
def client():
    """Makes a client of a service of such models."""
    from starlette.testclient import TestClient

    from attnpred.inference.serving.app import Service

    opened = []

    def make(*models, keys=None, log=False, **limits):
        models = models or (Fake(),)
        limits = Limits(**{"max_wait_ms": 1.0, **limits})
        options = Options(served=[one.served for one in models], limits=limits, keys=keys or {})
        service = Service(options, list(models), log=log)
        found = TestClient(service.app(), raise_server_exceptions=False)
        found.service = service
        found.__enter__()
        opened.append(found)
        return found

    yield make
    for one in opened:
        one.__exit__(None, None, None)


@contextmanager
def listening(service):
    """A service at a port of this machine, in a thread; gives its port and the server."""
    import uvicorn

    from attnpred.inference.serving.run import bound, config_of

    place = bound("127.0.0.1", 0)
    server = uvicorn.Server(config_of(service))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield place.getsockname()[1], server
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
