"""Compares a run that was disturbed with one that was not: weights and metrics to the last bit, and the files."""

import json
import re
from pathlib import Path
from typing import Any

import torch

from attnpred.runs import checkpoint_files

ALONE = ("time", "examples_per_second", "tokens_per_second", "memory_gib")  # of a line of metrics, what tells the time


def differences(run: Path, whole: Path) -> str:
    """The differences from the run that was never killed; nothing, if there are none."""
    found = []
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (checkpoint_files.load(r / "checkpoints" / name) for r in (run, whole))
        for key in ("state_dict", "optimizer_states", "lr_schedulers"):
            if not same(ours[key], theirs[key]):
                found.append(f"{name}: {key}")
    if lines(run) != lines(whole):
        found.append("metrics.jsonl")
    ours, theirs = curves(run), curves(whole)
    tags = sorted(ours.keys() | theirs.keys())
    found += [f"TensorBoard's curve of {tag}" for tag in tags if ours.get(tag) != theirs.get(tag)]
    names, expected = (below(r.parents[2]) for r in (run, whole))
    found += [f"left over: {name}" for name in sorted(names - expected)]
    found += [f"missing: {name}" for name in sorted(expected - names)]
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


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """TensorBoard's, without those that tell the time, by step: files of one second may be read in any order."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not list(run.glob("events.out.tfevents.*")):
        return {}
    shown = EventAccumulator(str(run), size_guidance={"scalars": 0})
    shown.Reload()
    tags = [tag for tag in shown.Tags()["scalars"] if tag not in ALONE]
    return {tag: sorted((event.step, event.value) for event in shown.Scalars(tag)) for tag in tags}


def below(directory: Path) -> set[str]:
    """Every file and directory, as far as it is not named by a time or process; each launch has a file of events."""
    names = (path.relative_to(directory).as_posix() for path in directory.rglob("*"))
    names = (re.sub(r"^outputs/[^/]+", "outputs/DATE", name) for name in names)
    names = (re.sub(r"^outputs/DATE/\d\d-\d\d-\d\d-(.*)-[0-9a-f]{4}", r"outputs/DATE/TIME-\1", name) for name in names)
    return {re.sub(r"events\.out.*", "events", name) for name in names}
