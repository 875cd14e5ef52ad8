"""Inputs as they come: what can be had is not kept waiting for what cannot."""

import io
import os
import sys
from types import SimpleNamespace

import pytest

from attnpred.errors import BadInput
from attnpred.inference.inputs import BLOCK, LONGEST_LINE, Coming, Inputs, lines
from attnpred.modalities.reader import refuse_file
from attnpred.modalities.text.reader import TextReader

READER = SimpleNamespace(accept=lambda value, position: f"{value} {position}")


@pytest.fixture
def pipe(monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as end:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
        yield end


def test_a_line_is_had_before_the_next_one_comes(pipe):
    come = Inputs(["-"], READER).as_they_come()
    for some in ([b"one\n"], [b"two\n", b"three\n"], [b"four\nfi", b"ve\n"]):
        pipe.write(b"".join(some))
        told = list(next(come))
        assert told == b"".join(some).decode().split()
    pipe.write(b"six")
    pipe.close()
    assert [list(some) for some in come] == [["six"]]


def test_half_a_line_is_waited_for_and_keeps_nothing_waiting(pipe):
    come = Inputs(["-"], READER).as_they_come()
    pipe.write(b"one\nha")
    assert list(next(come)) == ["one"]
    pipe.write(b"lf\n")
    assert list(next(come)) == ["half"]


def test_arguments_stay_together_and_know_their_places(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x\ny\n")))
    inputs = Inputs(["a", "b", "-", "c"], READER)
    assert [list(some) for some in inputs.as_they_come()] == [["a 0", "b 1"], ["x", "y"], ["c 4"]]
    assert str(inputs.named(BadInput("bad", 3))) == "line 2 of standard input: bad"
    assert str(inputs.named(BadInput("bad", 4))) == "bad"


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, LONGEST_LINE, 3 * LONGEST_LINE])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nnext\n"])
def test_lines_are_those_of_any_stream(length, end):
    content = b"x" * length + end
    assert list(lines(Coming(io.BytesIO(content)))) == list(lines(io.BytesIO(content)))


@pytest.mark.parametrize("value", ["missing.txt", "reviews/2024.csv", "../a.png"])
def test_a_file_that_is_missing_is_no_text(value):
    with pytest.raises(BadInput, match="no such file"):
        TextReader.accept(None, value, 0)


@pytest.mark.parametrize("value", ["fine", "see readme.txt", "a b.png", "v1.2", "e.g.", ""])
def test_a_text_is_no_file(value):
    refuse_file(value, 0)
