"""The inputs that a command is given: its arguments, and for - the lines of standard input."""

import io
import select
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, BinaryIO, Protocol

from attnpred.errors import BadInput, UserError
from attnpred.modalities.reader import Reader

LONGEST_LINE = 2**20  # bytes; of a longer one the first and the last half of so many are read
BLOCK = 2**15  # bytes that are read at once
CONTINUES = bytes(range(0x80, 0xC0))  # what a character of several bytes goes on with, in UTF-8


class Inputs:
    """Texts or paths of images, one after the other as they are asked for; knows where each stood."""

    def __init__(self, given: list[str], reader: Reader[Any, Any]) -> None:
        self.given = given
        self.reader = reader
        self._position = 0
        self._stdin: range | None = None  # the inputs that came from there

    def __iter__(self) -> Iterator[Any]:
        for some in self.as_they_come():
            yield from some

    def as_they_come(self) -> Iterator[Iterator[Any]]:
        """Those that can be had without waiting, and again, each time as many as came meanwhile."""
        for value, same in groupby(self.given, lambda given: given if given == "-" else None):
            if value != "-":
                yield self._accepted(same)
                continue
            stream = Coming(sys.stdin.buffer)
            self._stdin = range(self._position, self._position)
            every = lines(stream)
            for line in every:
                yield self._at_hand(line, every, stream)

    def _accepted(self, values: Iterable[str]) -> Iterator[Any]:
        for value in values:
            self._position += 1
            yield self.reader.accept(value, self._position - 1)

    def _at_hand(self, line: bytes | None, every: Iterator[bytes], stream: "Coming") -> Iterator[str]:
        """The line, and those that need not be waited for."""
        while line is not None:
            assert self._stdin is not None
            self._position += 1
            self._stdin = range(self._stdin.start, self._position)
            yield _decoded(line, self._position - 1)
            line = next(every, None) if stream.has_more() else None

    def named(self, error: BadInput) -> UserError:
        """The error with the input's place, where its own words do not say it."""
        if self._stdin is None or error.position not in self._stdin:
            return error
        return UserError(f"line {error.position - self._stdin.start + 1} of standard input: {error}")


class Lines(Protocol):
    def readline(self, size: int, /) -> bytes: ...


class Coming:
    """A stream that says whether its next line can be had without waiting."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.held = b""

    def readline(self, size: int, /) -> bytes:
        while b"\n" not in self.held and len(self.held) < size and self._read():
            pass
        end = self.held.find(b"\n", 0, size) + 1 or size
        line, self.held = self.held[:end], self.held[end:]
        return line

    def has_more(self) -> bool:
        while b"\n" not in self.held and len(self.held) < LONGEST_LINE:
            if not self._is_ready() or not self._read():
                return False
        return True

    def _read(self) -> bool:
        block = self.stream.read1(BLOCK)  # type: ignore[attr-defined]
        self.held += block
        return bool(block)

    def _is_ready(self) -> bool:
        try:
            return bool(select.select([self.stream.fileno()], [], [], 0)[0])
        except (OSError, ValueError, io.UnsupportedOperation):  # no file of the system's, or none that can be asked
            return True


def lines(stream: Lines) -> Iterator[bytes]:
    """The stream's lines without their ends; of one that is too long both halves, with a space between them."""
    while line := stream.readline(LONGEST_LINE):
        if not line.endswith(b"\n") and (more := stream.readline(LONGEST_LINE)).strip(b"\r\n"):
            line = _halves(line, more, stream)
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _halves(head: bytes, more: bytes, stream: Lines) -> bytes:
    """Beginning and end of a line that goes on, neither cut within a character."""
    half = LONGEST_LINE // 2
    tail = (head[half:] + more)[-half:]
    while not more.endswith(b"\n") and (more := stream.readline(LONGEST_LINE)):
        tail = (tail + more)[-half:]
    end = half
    while end and head[end] in CONTINUES:
        end -= 1
    return head[:end] + b" " + tail.lstrip(CONTINUES)


def _decoded(line: bytes, position: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"not UTF-8 text (byte {error.start + 1} is 0x{line[error.start]:02x}); convert it", position
        ) from None
