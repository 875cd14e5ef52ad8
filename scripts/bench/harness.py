"""Runs the sides of a benchmark in turn, each in a fresh interpreter, and puts together what they measured.

A side runs alone, its stderr a pseudo-terminal, so that progress bars do what they do for a person. Heavy packages are
imported by the sides themselves.
"""

import argparse
import contextlib
import json
import os
import pty
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from attnpred.errors import UserError
from attnpred.machine.process_setup import ENVIRONMENT
from scripts.bench.results import Row, as_json, save, table
from scripts.machine import machine

ROOT = Path(__file__).parents[2]
TERMINAL = (24, 120)  # rows and columns
SHOWN_OF_A_FAILURE = 4000  # characters, from the end of what the side said


@dataclass(frozen=True)
class Options:
    pairs: int = 3
    warmup: int = 20
    steps: int = 100
    examples: int | None = None  # None: all that the validation split has
    bert: str | None = None

    def arguments(self) -> list[str]:
        """As they are typed."""
        values = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return [word for name, value in values if value is not None for word in (f"--{name}", str(value))]


@dataclass(frozen=True)
class Comparison:
    """Which value of which side stands against which; values are named SIDE/VALUE."""

    work: str
    against: str
    ours: str
    peer: str
    unit: str = "examples/s"
    target: float | None = None
    difference: bool = False


def three_works(subject: str, against: str, *, peer: str, target: float) -> tuple[Comparison, ...]:
    """Training, evaluation, and prediction, which stands against the evaluation of a peer that tells no attention."""
    return (
        Comparison(f"{subject}: training", against, "ours/training", f"{peer}/training", target=target),
        Comparison(f"{subject}: evaluation", against, "ours/evaluation", f"{peer}/evaluation", target=target),
        Comparison(
            f"{subject}: prediction, with attention",
            f"{against}, evaluation",
            "ours/prediction",
            f"{peer}/evaluation",
            target=target,
        ),
    )


@dataclass(frozen=True)
class Benchmark:
    """`sides` are run in the order given; each returns its values by name."""

    module: str
    sides: Mapping[str, Callable[[Options], Mapping[str, float]]]
    comparisons: tuple[Comparison, ...]
    defaults: Options = Options()

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]


class SideFailed(Exception):
    """With what the side said last."""


def measure(benchmark: Benchmark, options: Options) -> list[Row]:
    """A row a comparison, with a value a pair."""
    rounds = []
    for number in range(1, options.pairs + 1):
        values: dict[str, float] = {}
        for side in benchmark.sides:
            print(f"{benchmark.name}: {number} of {options.pairs}: {side}", file=sys.stderr, flush=True)
            values |= {f"{side}/{name}": value for name, value in run_side(benchmark, side, options).items()}
        rounds.append(values)
    origin = {"machine": machine(), "date": str(date.today())}
    return [
        Row(
            benchmark=benchmark.name,
            work=c.work,
            against=c.against,
            unit=c.unit,
            difference=c.difference,
            target=c.target,
            ours=[values[c.ours] for values in rounds],
            peer=[values[c.peer] for values in rounds],
            **origin,
        )
        for c in benchmark.comparisons
    ]


def run_side(benchmark: Benchmark, side: str, options: Options) -> dict[str, float]:
    """What the side measured, in a process of its own."""
    # as the command does before it imports torch
    settings = ENVIRONMENT if side == "ours" else {}
    return in_child(
        f"{benchmark.name}: side {side}", [benchmark.module, "--side", side, *options.arguments()], settings
    )


def in_child(what: str, command: list[str], settings: Mapping[str, str]) -> dict[str, Any]:
    """What `python -m` with the command answers, on a terminal of its own; `what` names it where it fails."""
    # one device on both sides: a peer that sees several GPUs would use them all
    environment = {**settings, "CUDA_VISIBLE_DEVICES": "0", **os.environ}
    with tempfile.TemporaryFile() as answered:
        master, slave = pty.openpty()
        termios.tcsetwinsize(master, TERMINAL)
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=answered,
            stderr=slave,
        )
        os.close(slave)
        try:
            said = _read_to_end(master)
            code = process.wait()
        finally:
            process.kill()
            os.close(master)
        if code:
            raise SideFailed(f"{what} failed (exit code {code}):\n{said}")
        answered.seek(0)
        values: dict[str, Any] = json.loads(answered.read())
        return values


def answer(measured: Callable[[], Mapping[str, Any]]) -> None:
    """What a child does: stdout is for the values alone."""
    with contextlib.redirect_stdout(sys.stderr):
        values = measured()
    print(json.dumps(values))


def _read_to_end(terminal: int) -> str:
    said = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux tells that nobody has the other end any more
            piece = b""
        if not piece:
            return said.decode("utf-8", "replace")
        said = (said + piece)[-SHOWN_OF_A_FAILURE:]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has; those not given are left out, for the benchmark's own defaults."""
    made = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    made.add_argument("--pairs", type=positive, help="times that all sides run in turn")
    made.add_argument("--warmup", type=positive, help="training steps before the clock starts")
    made.add_argument("--steps", type=positive, help="training steps that are timed")
    made.add_argument("--examples", type=positive, help="evaluate and predict at most so many")
    made.add_argument("--bert", help="hub id or directory of the encoder that minilm_sst2 fine-tunes")
    return made


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def options_of(benchmark: Benchmark, given: argparse.Namespace) -> Options:
    known = {f.name for f in fields(Options)}
    changes: dict[str, Any] = {name: value for name, value in vars(given).items() if name in known}
    return replace(benchmark.defaults, **changes)


def main(benchmark: Benchmark, description: str | None) -> None:
    """A benchmark's own command line: a table on stderr, and the measurements as JSON on stdout or in a file."""
    arguments = parser(description)
    arguments.add_argument("--side", choices=list(benchmark.sides), default=None, help="run this side alone, once")
    arguments.add_argument("--json", default="-", metavar="FILE", help="where the measurements go (default: stdout)")
    args = arguments.parse_args()
    options = options_of(benchmark, args)
    try:
        if args.side is not None:
            answer(lambda: benchmark.sides[args.side](options))
            return
        rows = measure(benchmark, options)
    except (SideFailed, UserError) as error:
        raise SystemExit(f"error: {error}") from None
    print(table(rows), file=sys.stderr)
    if args.json == "-":
        print(json.dumps(as_json(rows), indent=2, ensure_ascii=False))
    else:
        save(Path(args.json), rows)
