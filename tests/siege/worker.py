"""Tries inputs in a forked process: where that dies or hangs, the input is a finding, and another process goes on."""

import faulthandler
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.siege.case import Case
from tests.siege.kinds import load
from tests.siege.oracle import LIMIT, WAIT, Oracle, Verdict

ROUND = 200  # inputs of one run of hypothesis
Tell = Callable[..., Verdict]  # tries a case, and tells whoever forked this process what came of it
Work = Callable[[Oracle, Tell], None]
MEMORY = 4 * 2**30  # bytes that an input may take beyond what is there
FREELY: dict[str, Any] = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


@dataclass
class Tally:
    """The tally of the inputs of a kind."""

    tried: int = 0
    refused: int = 0
    accepted: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)  # a signature's first case, and how many

    def add(self, case: dict[str, Any], verdict: Verdict) -> None:
        self.tried += 1
        self.refused += verdict.outcome == "refused"
        self.accepted += verdict.outcome == "accepted"
        self.slowest = max(self.slowest, verdict.seconds)
        self.seconds += verdict.seconds
        if verdict.outcome == "failed":
            known = self.failures.setdefault(verdict.signature, {"count": 0, "case": case, "detail": verdict.detail})
            known["count"] += 1
            if len(json.dumps(case)) < len(json.dumps(known["case"])):
                known |= {"case": case, "detail": verdict.detail}

    def merge(self, other: "Tally") -> None:
        for name in ("tried", "refused", "accepted", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        for signature, found in other.failures.items():
            known = self.failures.setdefault(signature, {**found, "count": 0})
            known["count"] += found["count"]


def storm(kind: str, count: int, seconds: float, first: int, root: Path, bases: Path) -> Tally:
    """So many inputs of a kind, or as many as the seconds allow; `first` is the seed of the first round."""
    tally, until, turn = Tally(), time.monotonic() + seconds, 0
    while tally.tried < count and time.monotonic() < until and turn < 20 + count:
        some = min(ROUND, count - tally.tried)
        number = first + 1000 * turn
        for case, verdict in forked(partial(_round, kind, some, number), root, bases):
            tally.add(case, verdict)
            if time.monotonic() > until:
                break
        turn += 1
    return tally


def _round(kind: str, count: int, number: int, oracle: Oracle, tell: Tell) -> None:
    for case in generated(kind, count, number, oracle.bases):
        tell(oracle, case)


def generated(kind: str, count: int, number: int, bases: Path) -> list[Case]:
    """Inputs of the kind's strategy, each once, before any is tried: hypothesis must not hear what trials do."""
    found = []

    @seed(number)
    @settings(max_examples=count, phases=[Phase.generate], **FREELY)
    @given(_strategy(kind, bases))
    def attempt(case: Case) -> None:
        found.append(case)

    attempt()
    return [Case.of(case) for case in dict.fromkeys(one.text() for one in found)]


@cache
def _strategy(kind: str, bases: Path) -> Any:
    return load(kind).cases(bases)


def replay(cases: list[Case], root: Path, bases: Path) -> list[Verdict]:
    """The verdict on each, whatever it does to the process."""
    found: list[Verdict] = []
    while len(found) < len(cases):
        found += [verdict for _, verdict in forked(partial(_replay, cases[len(found) :]), root, bases)]
    return found


def _replay(cases: list[Case], oracle: Oracle, tell: Tell) -> None:
    for case in cases:
        tell(oracle, case, strict=True)


def forked(work: Work, root: Path, bases: Path) -> Iterator[tuple[dict[str, Any], Verdict]]:
    """The findings of the work, as they come; an input that ends the process is one."""
    reading, writing = os.pipe()
    now = root / f"now-{os.getpid()}"
    now.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            _child(work, writing, root, bases, now)
            code = 0
        except BaseException:
            import traceback

            os.write(writing, (json.dumps({"broken": traceback.format_exc()}) + "\n").encode())
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        try:
            for line in lines:
                told = json.loads(line)
                if "broken" in told:
                    raise RuntimeError(f"the siege itself failed: {told['broken']}")
                yield told["case"], Verdict(**told["verdict"])
        finally:
            if sys.exc_info()[0] is GeneratorExit:
                os.kill(child, 9)
            _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) and now.is_file():
        code = os.waitstatus_to_exitcode(status)
        stack = root / f"stack-{child}"
        detail = stack.read_text() if stack.is_file() else ""
        how = "hangs outside of Python" if "Timeout" in detail else f"ends the process ({code})"
        yield json.loads(now.read_text()), Verdict("failed", float(LIMIT), how, detail[:4000])


def _child(work: Work, writing: int, root: Path, bases: Path, now: Path) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    oracle = Oracle(root, f"cell-{os.getpid()}", bases)
    with (root / f"stack-{os.getpid()}").open("w") as stack:
        faulthandler.enable(stack)

        def tell(oracle: Oracle, case: Case, **how: Any) -> Verdict:
            now.write_text(case.text())
            faulthandler.dump_traceback_later(WAIT, exit=True, file=stack)
            verdict = oracle.attempt(case, load(case.kind), **how)
            faulthandler.cancel_dump_traceback_later()
            line = json.dumps({"case": json.loads(case.text()), "verdict": verdict.plain()}) + "\n"
            os.write(writing, line.encode())
            return verdict

        work(oracle, tell)
    now.unlink(missing_ok=True)
    os.chdir(root)
    shutil.rmtree(oracle.cell, ignore_errors=True)
