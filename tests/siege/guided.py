"""Inputs of atheris, a fuzzer that keeps what reaches new lines of the program and goes on from there.

It changes the text of one file: those of a kind's GUIDED. Every text is tried as a case like any other.
"""

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

from tests.siege import odd
from tests.siege.kinds import load
from tests.siege.oracle import Oracle
from tests.siege.worker import Tally, Tell, forked

LONGEST = 8192  # bytes of a text
FOLLOWED = ("attnpred.", "hydra.core.override_parser.")  # modules whose lines count
# libFuzzer's own limits and handlers are off: the oracle's hold
FLAGS = [f"-{name}=0" for name in ("rss_limit_mb", "malloc_limit_mb", "verbosity", "print_final_stats")]
FLAGS += ["-timeout=86400"]  # seconds; atheris takes 0 at its word
FLAGS += [f"-handle_{name}=0" for name in ("segv", "bus", "abrt", "ill", "fpe", "int", "term", "xfsz", "usr1", "usr2")]


def available() -> bool:
    return importlib.util.find_spec("atheris") is not None


def storm(kind: str, count: int, seconds: float, first: int, root: Path, bases: Path, name: str) -> Tally:
    """So many inputs over one of the kind's files, or as many as the seconds allow."""
    tally, until, turn = Tally(), time.monotonic() + seconds, 0
    while tally.tried < count and time.monotonic() < until and turn < 50:
        work = partial(_guided, kind, name, count - tally.tried, first + turn, until)
        for case, verdict in forked(work, root, bases):
            tally.add(case, verdict)
        turn += 1
    return tally


def _guided(kind: str, name: str, count: int, number: int, until: float, oracle: Oracle, tell: Tell) -> None:
    import atheris

    make, start = load(kind).GUIDED[name]
    seeds = oracle.cell / "seeds"
    seeds.mkdir()
    for place, text in enumerate([start(oracle.bases), *odd.WHOLE]):
        (seeds / str(place)).write_bytes(text.encode("utf-8", "surrogatepass")[:LONGEST])
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    oracle.saved = [os.dup(nowhere), os.dup(nowhere)]
    for function in _functions():
        atheris.instrument_func(function)
    left = count

    def one(content: bytes) -> None:
        nonlocal left
        tell(oracle, make(content.decode("utf-8", "replace")))
        left -= 1
        if left <= 0 or time.monotonic() > until:  # it would end the process in its own way
            (oracle.cell.parent / f"now-{os.getppid()}").unlink(missing_ok=True)
            os.chdir("/")
            shutil.rmtree(oracle.cell, ignore_errors=True)
            os._exit(0)

    flags = [*FLAGS, f"-seed={number}", f"-max_len={LONGEST}", f"-artifact_prefix={oracle.cell}/"]
    atheris.Setup([sys.argv[0], *flags, str(seeds)], one)
    atheris.Fuzz()


def _functions() -> Iterator[FunctionType]:
    """The program's own functions and methods, as far as they are imported."""
    for module in [one for name, one in sys.modules.items() if name.startswith(FOLLOWED)]:
        for held in list(vars(module).values()):
            several: list[Any] = list(vars(held).values()) if isinstance(held, type) else [held]
            for one in several:
                function = getattr(one, "__func__", getattr(one, "__wrapped__", one))
                if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                    yield function
