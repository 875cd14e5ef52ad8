"""Dynamic batching: inputs of many requests wait a moment for one another, and are answered together.

One thread works for each model, so that the event loop goes on reading requests meanwhile. An input is taken out of
the queue only to be answered; one whose request has ended before is left out, and counted.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from attnpred.errors import BadInput
from attnpred.inference.serving.options import Limits

Answer = dict[str, Any] | BadInput
# Answers to inputs that ask for the same: inputs, the explainer, and whether attention is wanted
Work = Callable[[Sequence[Any], str | None, bool], list[Answer]]


class Overloaded(Exception):
    """No room is left in the queue; `seconds` is when there may be some."""

    def __init__(self, waiting: int, seconds: float) -> None:
        super().__init__(f"{waiting} inputs are waiting")
        self.seconds = seconds


class Stopping(Exception):
    """The model takes no further inputs."""


@dataclass(eq=False)
class Waiting:
    value: Any
    kind: tuple[str | None, bool]  # explainer, attention
    answer: "asyncio.Future[Answer]"
    since: float


@dataclass
class Counts:
    """What the metrics tell of a batcher."""

    batches: int = 0
    answered: int = 0
    refused: int = 0
    left: int = 0  # whose request had ended before their turn
    failed: int = 0


class Batcher:
    def __init__(self, work: Work, limits: Limits, seen: Callable[[int, float], None] | None = None) -> None:
        """`seen` is told of each batch its size and how many seconds it took."""
        self._work, self._limits, self._seen = work, limits, seen
        self._queue: deque[Waiting] = deque()
        self._came = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._loop: asyncio.Task[None] | None = None
        self._speed = 0.0  # inputs a second, of late
        self._open = True
        self.counts = Counts()

    def start(self) -> None:
        self._loop = asyncio.get_running_loop().create_task(self._run())

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether it works, or has been told to end."""
        return not self._open or (self._loop is not None and not self._loop.done())

    async def ask(self, values: Sequence[Any], explainer: str | None, attention: bool) -> list[Answer]:
        """Answers in the order of the values. All of a request's inputs find room in the queue, or none does."""
        if not self._open:
            raise Stopping
        if len(self._queue) + len(values) > self._limits.max_queue:
            self.counts.refused += len(values)
            raise Overloaded(len(self._queue), self._seconds_left())
        loop, now = asyncio.get_running_loop(), time.monotonic()
        mine = [Waiting(value, (explainer, attention), loop.create_future(), now) for value in values]
        self._queue.extend(mine)
        self._came.set()
        try:
            return [await one.answer for one in mine]
        finally:
            for one in mine:  # of a request that was given up
                one.answer.cancel()

    async def close(self) -> None:
        """Answers what was taken, and ends."""
        self._open = False
        self._came.set()
        if self._loop is not None:
            await self._loop
        self._thread.shutdown()

    def _seconds_left(self) -> float:
        return max(0.1, len(self._queue) / self._speed) if self._speed else 1.0

    async def _run(self) -> None:
        while self._open or self._queue:
            await self._came.wait()
            if await self._filled():
                await self._answer(self._take())
            if not self._queue and self._open:
                self._came.clear()

    async def _filled(self) -> bool:
        """Waits until a batch is full, or its first input has waited long enough; False where there is none."""
        if not self._queue:
            return False
        until = self._queue[0].since + self._limits.max_wait_ms / 1000
        while self._open and len(self._queue) < self._limits.max_batch and (left := until - time.monotonic()) > 0:
            self._came.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), left)
        self._came.set()
        return True

    def _take(self) -> list[Waiting]:
        """The oldest inputs that ask for the same as the oldest of all; others keep their places."""
        taken: list[Waiting] = []
        kept: deque[Waiting] = deque()
        while self._queue and len(taken) < self._limits.max_batch:
            one = self._queue.popleft()
            if one.answer.done():
                self.counts.left += 1
            elif not taken or one.kind == taken[0].kind:
                taken.append(one)
            else:
                kept.append(one)
        self._queue.extendleft(reversed(kept))
        return taken

    async def _answer(self, batch: list[Waiting]) -> None:
        if not batch:
            return
        began = time.monotonic()
        answers = await self._worked(batch)
        seconds = time.monotonic() - began
        for one, answer in zip(batch, answers, strict=True):
            if one.answer.done():
                self.counts.left += 1
            elif isinstance(answer, Exception) and not isinstance(answer, BadInput):
                self.counts.failed += 1
                one.answer.set_exception(answer)
            else:
                self.counts.answered += 1
                one.answer.set_result(answer)
        self.counts.batches += 1
        self._speed = 0.8 * (self._speed or len(batch) / seconds) + 0.2 * len(batch) / seconds
        if self._seen is not None:
            self._seen(len(batch), seconds)

    async def _worked(self, batch: list[Waiting]) -> list[Answer | Exception]:
        """The answers. Where all together fail, each is asked alone: one input must not take the others with it."""
        loop, kind = asyncio.get_running_loop(), batch[0].kind
        try:
            values = [one.value for one in batch]
            return [*await loop.run_in_executor(self._thread, self._work, values, *kind)]
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [answer for one in batch for answer in await self._worked([one])]
