"""Chromium without a window, told over a pipe in the DevTools protocol to open pages and to take their pictures."""

import base64
import itertools
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
# as root, as in a container, the browser's own sandbox cannot be had
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def executable() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page at a time."""

    def __init__(self, profile: Path) -> None:
        path = executable()
        assert path is not None
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        # the browser reads commands from 3 and answers by 4; at first both are out of the way of one another
        moves = ((commands, 98), (answers, 99), (98, 3), (99, 4))
        self._process = os.posix_spawn(
            path,
            [path, *OPTIONS, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            dict(os.environ),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                *((os.POSIX_SPAWN_DUP2, old, new) for old, new in moves),
                (os.POSIX_SPAWN_CLOSE, 98),
                (os.POSIX_SPAWN_CLOSE, 99),
            ],
            setpgroup=0,
        )
        os.close(commands)
        os.close(answers)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session: str | None = None
        self._last: str | None = None  # event
        target = next(t for t in self._send("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self._send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            self._send(f"{domain}.enable")

    def close(self) -> None:
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._commands)
        os.close(self._answers)

    def open(self, path: Path, *, width: int = 1280, height: int = 900) -> None:
        """Loads a file, and returns when it is drawn."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._send("Page.navigate", url=path.as_uri())
        while self._last != "Page.loadEventFired":
            self._receive()
        self.settle()

    def settle(self) -> None:
        """Until two frames were drawn, so that observers have been called."""
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0))))")

    def ask(self, expression: str) -> Any:
        """The value of a piece of JavaScript; a promise is waited for."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._commands, content) :]
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._answers, 1 << 20)
            assert piece, "the browser has ended"
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._last = message.get("method")
        return message
