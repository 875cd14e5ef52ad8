"""Has calls to the system fail that a run or a sweep makes for its files, one a trial, and looks at what comes of it.

    python -m scripts.faults
    python -m scripts.faults --every-call --only "a run on images"

A shim in C is preloaded, so that Python, torch, TensorBoard and tokenizers meet the fault alike. Each trial runs a
command with one fault: a write, fsync, open, rename, truncate, mkdir, link, unlink or mmap below its own directory
fails with ENOSPC (from then on, as a full disk does), with EIO, or with EINTR. The command must end well, or with exit
code 2 and one line that names the place. Then the same command goes on without a fault, and must come to the very
bits, records and files of a run that was never disturbed.

Writes `scripts/faults.json` and the table of docs/reliability.md.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from scripts import shim, tables
from scripts.forked import Scenario, in_turn, launched, tail, warm
from scripts.machine import machine
from scripts.shim import Fault

RESULT = Path(__file__).with_suffix(".json")
PAGE = tables.DOCS / "reliability.md"
ERRORS = {"ENOSPC": True, "EIO": False, "EINTR": False}  # whether it stays so
KINDS_OF = {  # what may answer so: a signal interrupts some, and a full disk still removes files
    "ENOSPC": tuple(kind for kind in shim.KINDS if kind != "unlink"),
    "EIO": shim.KINDS,
    "EINTR": ("open", "write", "fsync"),
}
SMALL = [
    *("model=transformer", "model.width=8", "model.depth=1", "model.heads=2", "trainer.precision=32-true"),
    *("trainer.limit_batches=3", "trainer.max_epochs=1", "trainer.log_every_steps=1", "checkpoint.every_steps=1"),
    *("trainer.attention_examples=2", "data.batch_size=16", "data.eval_batch_size=16"),
]
SCENARIOS = {
    "a run on images": Scenario(["train", "data=digits", *SMALL, "resume=auto"]),
    "a run on texts": Scenario(["train", "data=evidence_text", "data.rows=300", *SMALL, "resume=auto"]),
    "a job of a sweep": Scenario(
        ["train", "data=digits", *SMALL, "logger=csv", "--run-dir", "{place}/outputs/day/job"]
    ),
    "a sweep": Scenario(["train", "-m", "data=digits", "seed=0,1,2", "hydra.launcher.n_jobs=2"], fake_jobs=True),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--every-call", action="store_true", help="not only the first, second and last on each file")
    parser.add_argument("--most", type=int, help="faults of a scenario, spread evenly")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trials at once")
    args = parser.parse_args()
    if "shim" not in os.environ.get(shim.PRELOAD, ""):
        return preloaded()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="attnpred-faults-") as name:
        for number, title in enumerate(args.only):
            began = time.monotonic()
            found = tried(SCENARIOS[title], Path(name).resolve() / str(number), args)
            wrong += len(found["wrong"])
            found |= {"every call": args.every_call, "minutes": round((time.monotonic() - began) / 60, 1)}
            keep(title, {**found, "machine": machine(), "date": date.today().isoformat()})
            print(f"{title}: {found['told']}", flush=True)
    return 1 if wrong else 0


def keep(title: str, found: dict[str, Any]) -> None:
    known = json.loads(RESULT.read_text(encoding="utf-8"))["scenarios"] if RESULT.is_file() else {}
    known[title] = found
    result = {"scenarios": {name: known[name] for name in SCENARIOS if name in known}}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    tables.put(table(result), "faults", PAGE)


def preloaded() -> int:
    """The same command with the shim, which can only be there from a process's beginning."""
    import subprocess

    if shim.compiler() is None:
        print("there is no C compiler here, by which the shim is made; nothing was tried", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        own = {**os.environ, shim.PRELOAD: str(shim.build(Path(place))), "OMP_NUM_THREADS": "1"}
        own |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}  # threads would not live in a fork
        command = [sys.executable, "-m", "scripts.faults", *sys.argv[1:]]
        return subprocess.run(command, env=own, check=False).returncode


def table(result: dict[str, Any]) -> str:
    head = "| what ran | calls | of which | faults | tried | ended well | exit code 2 | then the same bits, files |"
    rows = [
        f"| {title} | {sum(one['calls'].values())} | {'all' if one['every call'] else 'some'} | {one['chosen']} "
        f"| {one['trials']} | {one['ended'].get('0', 0)} "
        f"| {one['ended'].get('2', 0)} | {one['trials'] - len(one['wrong'])} |"
        for title, one in result["scenarios"].items()
    ]
    where = dict.fromkeys(f"{one['machine']}, {one['date']}" for one in result["scenarios"].values())
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows, "", f"{'; '.join(where)}."])


def tried(scenario: Scenario, place: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Every fault of a scenario, and what was not as it should be."""
    warm(scenario, place)
    whole = place / "whole"
    told = launched(scenario, whole, None)
    assert told["code"] == 0, told["said"]
    calls = told["counts"]
    faults = list(faults_of(told["files"], whole, args.every_call))
    chosen = len(faults)
    faults = [faults[n * chosen // args.most] for n in range(args.most)] if args.most and args.most < chosen else faults
    trials = list(in_turn(lambda fault: trial(scenario, fault, place, whole), faults, place, args.jobs))
    wrong = [
        f"{fault} ({one['hit']}): {one['wrong']}" for fault, one in zip(faults, trials, strict=True) if one["wrong"]
    ]
    for line in wrong:
        print(line, flush=True)
    codes = [str(one["code"]) for one in trials]
    return {
        "calls": calls,
        "chosen": chosen,
        "trials": len(faults),
        "ended": {code: codes.count(code) for code in sorted(set(codes))},
        "wrong": wrong,
        "told": f"{calls}, {len(faults)} faults, {len(wrong)} wrong",
    }


def faults_of(files: dict[str, list[str]], place: Path, every_call: bool) -> Iterator[Fault]:
    """Of every call, or of the first, second and last of each kind on each file; names without times and processes."""
    for kind, met in files.items():
        by_file: dict[str, list[int]] = {}
        for nth, file in enumerate(met, 1):
            by_file.setdefault(nameless(file, place), []).append(nth)
        chosen = sorted({nth for calls in by_file.values() for nth in (*calls[:2], calls[-1])})
        first = sorted(calls[0] for calls in by_file.values())
        for error, for_good in ERRORS.items():
            if kind in KINDS_OF[error]:
                tried = range(1, len(met) + 1) if every_call else first if error == "EINTR" else chosen
                yield from (Fault(kind, error, nth, for_good) for nth in tried)


def nameless(file: str, place: Path) -> str:
    return re.sub(r"[0-9a-f]{16,}|\d+-sweep-[0-9a-f]{4}|[0-9a-f]{4}(?=/|$)|\d+", "N", file.removeprefix(str(place)))


def trial(scenario: Scenario, fault: Fault, place: Path, whole: Path) -> dict[str, Any]:
    """One command with a fault, and the same without."""
    own = place / re.sub(r"\W+", "-", str(fault))
    told = launched(scenario, own, fault)
    wrong = complaint(told, own, scenario)
    if not wrong and told["code"]:
        again = launched(scenario, own, None)
        wrong = f"going on ended with {again['code']}: {tail(again['said'])}" if again["code"] else ""
    if not wrong:
        wrong = difference(scenario, own, whole)
    if not wrong:
        shutil.rmtree(own)
    hit = told.get("hit", "").replace(str(own), "")
    return {"code": told["code"], "hit": hit, "wrong": wrong}


def complaint(told: dict[str, Any], place: Path, scenario: Scenario) -> str:
    """The faults in how the command ended, and in what it left."""
    lines = told["said"].splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if told["code"] not in (0, 2):
        return f"exit code {told['code']}: {tail(told['said'])}"
    if "Traceback" in told["said"]:
        return f"a traceback: {tail(told['said'])}"
    if told["code"] == 2 and (len(errors) != 1 or lines[-1] != errors[0]):
        return f"not one line: {errors or lines[-3:]}"
    if told["code"] == 2 and str(place) not in errors[0]:
        return f"names no file: {errors[0]}"
    return "" if scenario.fake_jobs else lost(place)


def lost(place: Path) -> str:
    """The saved work that is missing, of more than one step; nothing where all is there."""
    from attnpred.errors import UserError
    from attnpred.runs import checkpoint_files

    for run in place.glob("outputs/*/*"):
        try:
            newest = checkpoint_files.newest(run / "checkpoints")
        except UserError as error:
            return f"no checkpoint is whole: {error}"
        steps = [json.loads(line)["step"] for line in read_lines(run / "metrics.jsonl")]
        saved = checkpoint_files.load(newest)["global_step"] if newest else 0
        if steps and saved < max(steps) - 1:
            return f"step {saved} was saved, of {max(steps)}"
    return ""


def read_lines(file: Path) -> list[str]:
    """Whole lines alone: one may be half written on a full disk."""
    return [line for line in file.read_text().splitlines() if line.endswith("}")] if file.is_file() else []


def difference(scenario: Scenario, own: Path, whole: Path) -> str:
    """The differences from the run or sweep that was never disturbed."""
    from scripts.undisturbed import below, differences

    there = [len(list((place / "outputs").glob("*/*"))) for place in (own, whole)]
    if there != [1, 1]:
        return f"{there[0]} directories of runs"
    if not scenario.fake_jobs:
        return differences(*(next(place.glob("outputs/*/*")) for place in (own, whole)))
    ours, theirs = ({name for name in below(place) if not name.startswith("home")} for place in (own, whole))
    states = [json.loads(next(place.rglob("sweep.json")).read_text()) for place in (own, whole)]
    kept = [[(job["number"], job["status"]) for job in state["jobs"]] for state in states]
    found = [] if kept[0] == kept[1] and states[0]["status"] == "done" else [f"jobs: {kept[0]}"]
    found += [f"left over: {name}" for name in sorted(ours - theirs)]
    found += [f"missing: {name}" for name in sorted(theirs - ours)]
    return ", ".join(found)


if __name__ == "__main__":
    sys.exit(main())
