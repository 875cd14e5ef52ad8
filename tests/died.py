"""Runs that die where a test says, and how they are compared with those that did not."""

import json
import re

import pytest
import torch

from attnpred.cli import main
from attnpred.runs import checkpoint_files
from attnpred.runs.run import Run

CLOCK = {"time", "examples_per_second", "tokens_per_second", "memory_gib"}


class Died(BaseException):
    pass


def train(place, overrides):
    assert main(["train", *overrides, f"output_dir={place}"]) == 0
    return the_run(place)


def the_run(place):
    (file,) = place.rglob("run.json")
    return Run(file.parent)


def weights(run, name="last.ckpt"):
    return checkpoint_files.load(run.checkpoints / name)


def records(run):
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in CLOCK} for line in lines]


def result(run):
    found = json.loads((run.path / "metrics.json").read_text())
    return {
        key: value
        for key, value in found.items()
        if key not in {*CLOCK, "peak_memory_gib", "estimated_memory_gib", "seconds", "attention_seconds"}
    }


def curves(run):
    """TensorBoard's, without those that tell the time, by step: files of one second may be read in any order."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(run.path), size_guidance={"scalars": 0})
    shown.Reload()
    tags = [tag for tag in shown.Tags()["scalars"] if tag not in CLOCK]
    return {tag: sorted((event.step, event.value) for event in shown.Scalars(tag)) for tag in tags}


def alike(one, other):
    """Whether two states are, to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def same(one, other):
    for key in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert alike(one[key], other[key]), key
    # their records' lines hold times of other lengths
    ours, theirs = ({**state["position"], "records": None} for state in (one, other))
    assert alike(ours, theirs), "position"


def names(run):
    """Every file's, as far as it is not named by a time or process; each launch has a file of events."""
    return {re.sub(r"events\.out.*", "events", file.relative_to(run.path).as_posix()) for file in run.path.rglob("*")}


def check_same(run, whole):
    assert records(run) == records(whole)
    assert result(run) == result(whole)
    for name in ("last.ckpt", "best.ckpt"):
        same(weights(run, name), weights(whole, name))
    assert names(run) == names(whole)
    tables = [r.path / "metrics.csv" for r in (run, whole)]
    assert len({len(file.read_text().splitlines()) for file in tables if file.exists()}) <= 1
    assert run.description()["status"] == "done"


def dies_at(monkeypatch, target, method, call):
    """Has the method raise, as if the process were killed, when it is called for the time `call`."""
    real, count = getattr(target, method), 0

    def counted(*args, **named):
        nonlocal count
        count += 1
        if count == call:
            raise Died
        return real(*args, **named)

    monkeypatch.setattr(target, method, counted)


def died(place, overrides, monkeypatch, target, method, call):
    with monkeypatch.context() as patched:
        dies_at(patched, target, method, call)
        with pytest.raises(Died):
            main(["train", *overrides, f"output_dir={place}"])
    return the_run(place)
