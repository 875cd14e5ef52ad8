"""Kills runs at random moments, has each go on, and compares what comes out with a run that was never killed.

    python -m scripts.survive

Every trial begins with an empty cache, is killed once (SIGKILL) and is launched again by the same command with
`resume=auto`. A third of the trials is stopped in the middle of writing a checkpoint, and killed only where the half
written file is there; a fifth likewise while data is prepared; the others at any moment of the process, or of the run.
Weights, optimizer, metrics and TensorBoard's curves must be the same to the last bit, and below the cache
and the outputs there must be the same files: no draft, no lock and no temporary directory more.

Writes `scripts/survive.json` and the line of docs/reliability.md.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from scripts import launch, tables
from scripts.machine import machine
from scripts.undisturbed import differences

RESULT = Path(__file__).with_suffix(".json")
SMALL = [
    *("model.width=16", "model.depth=1", "model.dropout=0.2", "task.label_smoothing=0.1", "trainer.accumulate=2"),
    *("optimizer=muon", "optimizer.ema=0.95", "trainer.log_every_steps=3", "checkpoint.every_steps=1", "resume=auto"),
    *("data.batch_size=64", "trainer.max_epochs=2", "trainer.attention_examples=8"),
]
IMAGES = [*SMALL, "data=digits", "data.augment.crop=1", "data.augment.mixup=0.2"]
TEXTS = [*SMALL, "model=transformer", "data=evidence_text", "data.rows=3000", "data.word_dropout=0.1", "model.heads=2"]
CHECKPOINT, CACHE, RUN, ANY = "writing a checkpoint", "preparing data", "any moment of the run", "any moment"
SIGNS = {CHECKPOINT: "outputs/*/*/checkpoints/.*.ckpt.*", CACHE: "cache/*.part-*", RUN: "outputs/*/*/run.json"}
PATIENCE = 600.0  # seconds for a run


@dataclass
class Plan:
    """When one trial is killed."""

    overrides: list[str]
    where: str
    moment: float  # seconds from the process's start, or from the first sign of what it shall die at


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trials at once")
    parser.add_argument("overrides", nargs="*", help="further ones, for another kind of run; nothing is recorded then")
    args = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        kinds = [[*kind, *args.overrides] for kind in (IMAGES, TEXTS)]
        wholes, lengths = {}, {}
        for number, kind in enumerate(kinds):
            begun = time.monotonic()
            wholes[tuple(kind)] = finished(Path(place) / f"whole-{number}", kind)
            lengths[tuple(kind)] = time.monotonic() - begun
        plans = planned(args.kills, random.Random(args.seed), kinds, lengths)

        def trial(number: int) -> tuple[str, str]:
            directory, plan = Path(place) / f"trial-{number}", plans[number]
            stage = killed(directory, plan)
            found = outcome(directory) or finished(directory, plan.overrides)
            wrong = differences(found, wholes[tuple(plan.overrides)])
            print(f"{number + 1}: {plan.where}; killed {stage}: {wrong or 'the same'}", flush=True)
            shutil.rmtree(directory)
            return stage, wrong

        ended = list(launch.in_turn(trial, range(args.kills), args.jobs))
    same_ones = sum(not wrong for _, wrong in ended)
    stages = dict(Counter(stage for stage, _ in ended).most_common())
    result = {
        "kills": args.kills,
        "same": same_ones,
        "stages": stages,
        "seed": args.seed,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "machine": machine(),
        "date": date.today().isoformat(),
    }
    print(told(result))
    if not args.overrides:
        RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        tables.put(told(result), "survive", tables.DOCS / "reliability.md")
    return 0 if same_ones == args.kills else 1


def told(result: dict[str, Any]) -> str:
    stages = ", ".join(f"{count} while {stage}" for stage, count in result["stages"].items())
    return (
        f"{result['same']} of {result['kills']} killed runs ended like one that was never killed ({stages}); seed "
        f"{result['seed']}, {result['machine']}, {result['date']}."
    )


def planned(
    kills: int, moments: random.Random, kinds: list[list[str]], lengths: dict[tuple[str, ...], float]
) -> list[Plan]:
    plans = []
    for number in range(kills):
        kind = kinds[number % 2]
        if number % 3 == 0:
            plans.append(Plan(kind, CHECKPOINT, moments.uniform(0, 1)))
        elif number % 5 == 1:
            plans.append(Plan(kinds[1], CACHE, moments.uniform(0, 0.5)))
        elif number % 5 in (2, 3):
            plans.append(Plan(kind, RUN, moments.uniform(0, lengths[tuple(kind)] / 2)))
        else:
            plans.append(Plan(kind, ANY, moments.uniform(0.3, lengths[tuple(kind)])))
    return plans


def command(directory: Path, overrides: list[str]) -> list[str]:
    place = [f"output_dir={directory / 'outputs'}", f"data.cache_dir={directory / 'cache'}"]
    return [sys.executable, "-m", "attnpred", "train", *overrides, *place]


def start(directory: Path, overrides: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    return subprocess.Popen(command(directory, overrides), env=environment, **quiet)


def killed(directory: Path, plan: Plan) -> str:
    """Kills a run as planned; what it was at when it died."""
    child = start(directory, plan.overrides)
    if plan.where == ANY:
        with suppress(subprocess.TimeoutExpired):
            child.wait(plan.moment)
    else:
        stopped_at(child, directory, SIGNS[plan.where], plan.moment)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)  # ranks and all
        child.wait()
    elif plan.where != ANY and plan.moment > 0:  # it was over before; once more, and stop it at the first sign
        shutil.rmtree(directory)
        return killed(directory, replace(plan, moment=0.0))
    return stage_of(directory)


def stopped_at(child: subprocess.Popen[bytes], directory: Path, sign: str, moment: float) -> None:
    """Stops the process while a file like `sign` is there, so long after the first one was; unless it ends before."""
    due = None
    while child.poll() is None:
        if not list(directory.glob(sign)):
            continue
        due = due or time.monotonic() + moment
        if time.monotonic() < due:
            continue
        os.killpg(child.pid, signal.SIGSTOP)
        time.sleep(0.01)
        if list(directory.glob(sign)):
            return
        os.killpg(child.pid, signal.SIGCONT)


def stage_of(directory: Path) -> str:
    if list(directory.glob(SIGNS[CHECKPOINT])):
        return CHECKPOINT
    if list(directory.glob(SIGNS[CACHE])):
        return CACHE
    if outcome(directory) is not None:
        return "ending"
    if not list(directory.glob("outputs/*/*/run.json")):
        return "starting"
    logs = [file.read_text(encoding="utf-8") for file in directory.glob("outputs/*/*/metrics.jsonl")]
    if any('"test/' in log for log in logs):
        return "testing"
    return "training" if list(directory.rglob("last.ckpt")) else "beginning to train"


def finished(directory: Path, overrides: list[str]) -> Path:
    child = start(directory, overrides)
    assert child.wait(PATIENCE) == 0, f"{directory}: the run failed"
    run = outcome(directory)
    assert run is not None, f"{directory}: the run did not end"
    return run


def outcome(directory: Path) -> Path | None:
    """The run that is done; None while there is none."""
    found = [json.loads(file.read_text(encoding="utf-8")) | {"at": file.parent} for file in directory.rglob("run.json")]
    assert len(found) <= 1, f"{directory}: more than one run"
    return next((run["at"] for run in found if run["status"] == "done"), None)


if __name__ == "__main__":
    sys.exit(main())
