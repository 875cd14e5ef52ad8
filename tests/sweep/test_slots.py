"""Which GPUs and cores the jobs of a sweep get."""

import json

import pytest

from attnpred.machine import threads
from attnpred.sweep import slots


def test_jobs_share_gpus_and_cores(sweeps, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "cores", lambda: 8)
    sweeps.tell(seconds=0.3)
    assert sweeps.train("seed=1,2,3", "hydra.launcher.n_jobs=3") == 0
    given = [json.loads((sweeps.directory / str(n) / "run.json").read_text())["environment"] for n in range(3)]
    assert {environment["CUDA_VISIBLE_DEVICES"] for environment in given} == {"4", "5", "6"}
    assert {environment["OMP_NUM_THREADS"] for environment in given} == {"2"}
    # alone, a job has all there is
    assert sweeps.train("seed=1,2,3") == 0
    given = [json.loads((sweeps.directory / str(n) / "run.json").read_text())["environment"] for n in range(3)]
    assert {environment["CUDA_VISIBLE_DEVICES"] for environment in given} == {"4,5,6,7"}
    assert {environment["OMP_NUM_THREADS"] for environment in given} == {None}


def test_gpus_go_to_the_least_used_first():
    given = slots.Slots(["0", "1", "2", "3"], jobs=2)
    assert given.take(0, None) == "0,1"
    assert given.take(1, 1) == "2"
    assert given.take(2, 2) == "3,0"
    given.give_back(1)
    assert given.take(3, None) == "2,1"
    assert slots.Slots([], 2).take(0, 1) is None
    assert slots.Slots(["7"], 3).take(0, None) == "7"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [("", []), ("2", ["2"]), ("0, 3", ["0", "3"]), ("1,-1,2", ["1"]), ("GPU-a,GPU-b", ["GPU-a", "GPU-b"])],
)
def test_gpus_are_those_that_one_may_use(monkeypatch, chosen, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert slots.visible() == expected
