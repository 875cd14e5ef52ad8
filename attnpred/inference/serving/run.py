"""Starts a service and ends it: the port, the signals, and what is loaded before the first request is taken."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.inference.serving.app import Service
from attnpred.inference.serving.models import Model
from attnpred.inference.serving.options import Options
from attnpred.inference.serving.protocol import patient
from attnpred.runs.run import Run


class Server(uvicorn.Server):
    """Ends by a signal as it should: what was taken is answered, and the process tells of no failure."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        heard = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGHUP: self._reload}
        for number, act in heard.items():
            loop.add_signal_handler(number, act)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        """Told a second time it waits no longer."""
        self._service.ready = False
        self.force_exit = self.should_exit
        self.should_exit = True

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self._service.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def bound(host: str, port: int) -> socket.socket:
    """A socket at that place, which takes nothing yet."""
    if not 0 <= port < 2**16:
        raise UserError(f"--port {port}: is no port; choose one of 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--host {host} --port {port}: cannot be listened at ({reason}); choose another port") from None
    return found


def serve(options: Options, *, log: bool = True) -> int:
    """Until it is told to stop. What is wrong shows before a request is taken."""
    for served in options.served:  # before any address is looked up
        Run.find(str(served.path))
    place = bound(options.host, options.port)
    load = partial(Model, log=options.log, inputs=options.log_inputs)
    loaded = [load(served, options.precision) for served in options.served]
    service = Service(options, loaded, load, log=log)
    server = Server(config_of(service), service)
    host, port = place.getsockname()[:2]
    for model in loaded:
        say(f"serves {model.served.name} {model.served.version}: {model.served.path}")
    say(f"listens at http://{f'[{host}]' if ':' in host else host}:{port}")
    server.run(sockets=[place])
    say("stopped: all that was taken is answered" if not server.force_exit else "stopped at once")
    return 0


def config_of(service: Service) -> uvicorn.Config:
    limits = service.options.limits
    return uvicorn.Config(
        service.app(),
        http=patient(limits.slow_seconds),
        ws="none",
        lifespan="on",
        access_log=False,  # it would hold what stands behind a question mark
        log_level="warning",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=round(limits.stop_seconds),
        limit_concurrency=limits.max_connections,
    )
