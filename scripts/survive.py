"""Kills runs at random moments, has each go on, and compares what comes out with a run that was never killed.

    python -m scripts.survive --kills 50

Every trial begins with an empty cache, is killed (SIGKILL) once at a moment drawn from the whole length of a run, start
and preparation of data included, and is launched again by the same command with `resume=auto`. Runs save at every step,
so that many die while they write a checkpoint. Weights, optimizer and metrics must be the same to the last bit, and
nothing may be left over.
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
from pathlib import Path
from typing import Any

import torch

from attnpred import vault

ALONE = ("time", "examples_per_second", "tokens_per_second", "memory_gib")  # of a line of metrics, what tells the time
OVERRIDES = [
    *("data=digits", "data.augment.crop=1", "data.augment.mixup=0.2", "data.batch_size=64", "trainer.max_epochs=4"),
    *("model.width=16", "model.depth=1", "model.dropout=0.2", "task.label_smoothing=0.1", "trainer.accumulate=2"),
    *("optimizer=muon", "optimizer.ema=0.95", "trainer.log_every_steps=3", "checkpoint.every_steps=1", "resume=auto"),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("overrides", nargs="*", help="further ones, for another kind of run")
    args = parser.parse_args()
    moments = random.Random(args.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as place:
        started = time.monotonic()
        whole = finished(Path(place) / "whole", args.overrides)
        length = time.monotonic() - started
        print(f"a run takes {length:.1f} s", file=sys.stderr)
        for trial in range(args.kills):
            directory = Path(place) / f"trial-{trial}"
            moment = moments.uniform(0.5, length)
            stage = killed(directory, args.overrides, moment)
            found = outcome(directory) or finished(directory, args.overrides)
            wrong = differences(found, whole)
            failures += bool(wrong)
            print(f"{trial + 1}: killed after {moment:.2f} s, {stage}: {wrong or 'the same'}", flush=True)
            shutil.rmtree(directory)
    print(f"{args.kills - failures} of {args.kills} the same")
    return 1 if failures else 0


def command(directory: Path, overrides: list[str]) -> list[str]:
    place = [f"output_dir={directory / 'outputs'}", f"data.cache_dir={directory / 'cache'}"]
    return [sys.executable, "-m", "attnpred", "train", *OVERRIDES, *place, *overrides]


def killed(directory: Path, overrides: list[str], moment: float) -> str:
    """Where the run was when it died."""
    quiet: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "start_new_session": True}
    child = subprocess.Popen(command(directory, overrides), **quiet)
    try:
        child.wait(timeout=moment)
        return "already done"
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # ranks and all
        child.wait()
    if list(directory.rglob(".*.ckpt.*")):
        return "writing a checkpoint"
    if list(directory.rglob("last.ckpt")):
        return "training"
    return "before its first checkpoint"


def finished(directory: Path, overrides: list[str]) -> Path:
    subprocess.run(command(directory, overrides), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    run = outcome(directory)
    assert run is not None, f"{directory}: the run did not end"
    return run


def outcome(directory: Path) -> Path | None:
    """The run that is done; None while there is none."""
    found = [json.loads(file.read_text(encoding="utf-8")) | {"at": file.parent} for file in directory.rglob("run.json")]
    assert len(found) <= 1, f"{directory}: more than one run"
    return next((run["at"] for run in found if run["status"] == "done"), None)


def differences(run: Path, whole: Path) -> str:
    """What is not as in the run that was never killed; nothing, if all is."""
    found = []
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (vault.load(r / "checkpoints" / name) for r in (run, whole))
        for key in ("state_dict", "optimizer_states", "lr_schedulers"):
            if not same(ours[key], theirs[key]):
                found.append(f"{name}: {key}")
    if lines(run) != lines(whole):
        found.append("metrics.jsonl")
    found += [f"left over: {file.name}" for file in run.rglob(".*.ckpt.*")]
    return ", ".join(found)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def lines(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in row.items() if key not in ALONE} for row in rows]


if __name__ == "__main__":
    sys.exit(main())
