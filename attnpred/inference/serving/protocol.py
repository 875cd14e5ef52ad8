"""Connections of clients that send or read too slowly are closed, so that they hold nobody else's place."""

from typing import Any


def patient(seconds: float) -> type[Any]:
    """uvicorn's protocol of HTTP, which gives a client so long for a request's head, and to take what it is sent."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    base: Any = AutoHTTPProtocol

    class Patient(base):
        _timer: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            at_work = self.cycle is not None and not self.cycle.response_complete
            if at_work and not self.flow.write_paused:  # the head is whole; the body has a clock of its own
                self._stop()
            elif not at_work and self._timer is None and not self.transport.is_closing():
                self._wait()

        def on_response_complete(self) -> None:
            if not self.flow.write_paused:  # all but some is with the client
                self._stop()
            super().on_response_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._wait()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._wait()  # closing waits until all is read

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._stop()
            self._timer = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Patient
