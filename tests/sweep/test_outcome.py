"""How a job ended and what it reached, read from what it left."""

import pytest

from attnpred.sweep import outcome
from attnpred.sweep.job import Job


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0, "done"),
        (1, "failed"),
        (2, "failed"),
        (130, "interrupted"),
        (143, "interrupted"),
        (-9, "interrupted"),
        (-11, "failed"),
    ],
)
def test_an_exit_code_tells_how_a_job_ended(tmp_path, code, status):
    job = Job(0, [], tmp_path)
    outcome.settle(job, code, ["val/accuracy"])
    assert (job.status, job.exit_code) == (status, code)
    assert (job.error is None) == (status == "done")


def test_objectives_are_found_in_a_result():
    result = {
        "val": {"best": {"accuracy": 0.5}, "final": {"accuracy": 0.4}},
        "attention": {"scores": {"attention": {"comprehensiveness": [0.3, 0.2, 0.4]}, "random": {}}},
        "seconds": 7,
    }
    names = ("val/accuracy", "attention/comprehensiveness", "seconds", "val/f1", "attention/sufficiency", "steps")
    assert [outcome.value(result, name) for name in names] == [0.5, 0.3, 7.0, None, None, None]
    assert [outcome.value({}, name) for name in names] == [None] * 6


def test_a_curve_is_read_as_it_grows_and_again_where_a_run_went_back(tmp_path):
    file, curve = tmp_path / "metrics.jsonl", outcome.Curve(Job(0, [], tmp_path), "val/accuracy")
    assert curve.further() == []
    file.write_text('{"step": 1, "val/accuracy": 0.5}\n{"step": 1, "lr": 1}\n{"step": 2, "val/acc')
    assert curve.further() == [0.5]
    with file.open("a") as stream:
        stream.write('uracy": 0.7}\n')
    assert curve.further() == [0.7]
    assert curve.values == [0.5, 0.7]
    file.write_text('{"step": 1, "val/accuracy": 0.4}\n')
    assert curve.further() == [0.4]
    assert outcome.newest(Job(0, [], tmp_path), "val/accuracy") == 0.4
