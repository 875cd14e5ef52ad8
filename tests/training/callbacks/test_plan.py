"""A run says how many steps it is going to take, once, from the main process."""

from types import SimpleNamespace

import pytest

from attnpred.runs.run import Run
from attnpred.training.callbacks.plan import Plan
from tests.compare.made import make_run


@pytest.mark.parametrize(
    ("steps", "main", "planned"), [(120, True, 120), (float("inf"), True, None), (-1, True, None), (120, False, None)]
)
def test_planned_steps(tmp_path, steps, main, planned):
    run = Run(make_run(tmp_path / "run", status="running"))
    Plan(run).on_train_start(SimpleNamespace(estimated_stepping_batches=steps, is_global_zero=main), None)
    assert run.description().get("planned_steps") == planned
    assert run.description()["status"] == "running"
