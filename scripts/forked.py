"""Commands in processes forked from this one, which has imported all: seconds less for each."""

import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from attnpred.training import memory
from scripts import quick_job, shim
from scripts.shim import Fault

PATIENCE = 180.0  # seconds for a command


@dataclass(frozen=True)
class Scenario:
    command: list[str]
    fake_jobs: bool = False  # a sweep's own doing is looked at; what a run does, the others show


def launched(scenario: Scenario, place: Path, fault: Fault | None) -> dict[str, Any]:
    """The command in a process forked from this one, which has imported all it needs: code, words and calls."""
    made_for(scenario, place)
    log, note = place.with_name(f"{place.name}.log"), place.with_name(f"{place.name}.json")
    note.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        run(scenario, place, fault, log, note)
    code = awaited(child)
    told = json.loads(note.read_text()) if note.is_file() else {}
    said = log.read_text(errors="replace")
    for file in (log, note):
        file.unlink(missing_ok=True)
    return {"code": code, "said": said, **told}


def run(scenario: Scenario, place: Path, fault: Fault | None, log: Path, note: Path) -> NoReturn:
    """In the forked process: as `python -m attnpred` would."""
    code = 1
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(handle, number)
        shim.arm(place, fault)
        code = answered(scenario, place)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        shim.disarm()
        hits, hit = shim.struck()
        note.write_text(json.dumps({"counts": shim.counts(), "files": shim.met(), "hits": hits, "hit": hit}))
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)


def made_for(scenario: Scenario, place: Path) -> None:
    """Makes what the command needs: a home, and for a job the directory of its sweep."""
    for name in ("home", "outputs/day") if "--run-dir" in scenario.command else ("home",):
        (place / name).mkdir(parents=True, exist_ok=True)


def answered(scenario: Scenario, place: Path) -> int:
    """The exit code of the command, with all that it writes below the place."""
    from attnpred import cli
    from attnpred.sweep import job

    os.environ |= {"HOME": str(place / "home"), "XDG_CONFIG_HOME": str(place / "home")}
    if scenario.fake_jobs:
        job.PROGRAM[:] = quick_job.PROGRAM
    os.chdir(place)
    places = [f"output_dir={place / 'outputs'}", f"data.cache_dir={place / 'cache'}"]
    words = [word.replace("{place}", str(place)) for word in scenario.command]
    with mock.patch.object(memory, "estimate", return_value=None):  # half of the time, and none of the calls
        return cli.main([*words[:1], *places, *words[1:]])


def awaited(child: int) -> int:
    """Its exit code; -9 where it did not come to an end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)


def warm(scenario: Scenario, place: Path) -> None:
    """Runs the command here once, so that a process forked from this one has all imported and made that it needs."""
    made_for(scenario, place)
    log = place / "log"
    with log.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
        code = answered(scenario, place)
    assert code == 0, log.read_text()
    gc.collect()
    gc.freeze()  # else every process forked from this one would go through all of it, and copy it


def in_turn(
    work: Callable[[Fault], dict[str, Any]], faults: list[Fault], place: Path, at_once: int
) -> Iterator[dict[str, Any]]:
    """Results in order, each worked out in a process forked from this one."""
    running: dict[int, int] = {}
    waiting = list(enumerate(faults))
    while waiting or running:
        if waiting and len(running) < at_once:
            number, fault = waiting.pop(0)
            child = os.fork()
            if not child:
                answer(lambda fault=fault: work(fault), place / f"{number}.result")  # type: ignore[misc]
            running[child] = number
            continue
        ended, _ = os.wait()
        running.pop(ended, None)
    for number in range(len(faults)):
        yield json.loads((place / f"{number}.result").read_text())


def answer(work: Callable[[], dict[str, Any]], file: Path) -> NoReturn:
    try:
        file.write_text(json.dumps(work()))
    except BaseException:
        file.write_text(json.dumps({"code": 1, "hit": "", "wrong": tail(traceback.format_exc())}))
    os._exit(0)


def tail(said: str) -> str:
    return " | ".join(said.strip().splitlines()[-4:])
