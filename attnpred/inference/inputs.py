"""The inputs that a command is given: its arguments, and for - the lines of standard input."""

import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from attnpred.errors import BadInput, UserError
from attnpred.modalities.reader import Reader

LONGEST_LINE = 2**20  # bytes; of a longer one the first and the last half of so many are read
CONTINUES = bytes(range(0x80, 0xC0))  # what a character of several bytes goes on with, in UTF-8


class Inputs:
    """Texts or paths of images, one after the other as they are asked for; knows where each stood."""

    def __init__(self, given: list[str], reader: Reader[Any, Any]) -> None:
        self.given = given
        self.reader = reader
        self._stdin: range | None = None  # the inputs that came from there

    def __iter__(self) -> Iterator[Any]:
        position = 0
        for value in self.given:
            if value == "-":
                self._stdin = range(position, position)
                for line in lines(sys.stdin.buffer):
                    self._stdin = range(self._stdin.start, position + 1)
                    yield _decoded(line, position)
                    position += 1
                continue
            yield self.reader.accept(value, position)
            position += 1

    def named(self, error: BadInput) -> UserError:
        """The error with the input's place, where its own words do not say it."""
        if self._stdin is None or error.position not in self._stdin:
            return error
        return UserError(f"line {error.position - self._stdin.start + 1} of standard input: {error}")


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """The stream's lines without their ends; of one that is too long both halves, with a space between them."""
    while line := stream.readline(LONGEST_LINE):
        if not line.endswith(b"\n") and (more := stream.readline(LONGEST_LINE)).strip(b"\r\n"):
            line = _halves(line, more, stream)
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _halves(head: bytes, more: bytes, stream: BinaryIO) -> bytes:
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
