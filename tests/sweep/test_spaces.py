"""What a search is told: where to look, by which sampler, for what; and what is said of mistakes there."""

import pytest

pytest.importorskip("optuna", reason="needs the extra optuna")

from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.sweep import space
from attnpred.sweep.space import Dimension
from tests.sweep.made import LR, OPTUNA


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("optimizer.lr=interval(0.1,1)", Dimension("optimizer.lr", low=0.1, high=1.0)),
        ("optimizer.lr=tag(log,interval(1e-5,1e-1))", Dimension("optimizer.lr", low=1e-5, high=1e-1, log=True)),
        ("model.depth=interval(1,4)", Dimension("model.depth", low=1, high=4)),
        ("model.depth=int(interval(1,4))", Dimension("model.depth", low=1, high=4)),
        ("model.depth=range(1,8,2)", Dimension("model.depth", low=1, high=7, step=2)),
        ("model.depth=range(3,0,-1)", Dimension("model.depth", low=1, high=3, step=1)),
        ("model.depth=shuffle(range(1,4))", Dimension("model.depth", low=1, high=3, step=1)),
        ("data.batch_size=tag(log,range(8,65))", Dimension("data.batch_size", low=8, high=64, log=True)),
        ("optimizer.lr=range(0.1,0.5,0.1)", Dimension("optimizer.lr", low=0.1, high=0.4, step=0.1)),
        ("model.width=8,16", Dimension("model.width", choices={8: "8", 16: "16"})),
        ("trainer.patience=3,null", Dimension("trainer.patience", choices={3: "3", None: "null"})),
        ("model=transformer,bert", Dimension("model", choices={"transformer": "transformer", "bert": "bert"})),
        ("model.frozen=[],[head]", Dimension("model.frozen", choices={"[]": "[]", "[head]": "[head]"})),
        ("trainer.compile=bool(choice(0,1))", Dimension("trainer.compile", choices={False: "False", True: "True"})),
    ],
)
def test_spaces_in_hydras_syntax(typed, expected):
    base = ["seed=1", "data=imdb" if typed.startswith("model=") else "data=digits"]
    fixed, dimensions = space.split([*base, typed])
    assert fixed == base
    (found,), config = space.checked(fixed, dimensions, None)
    assert found.key == expected.key
    assert (found.choices, found.step, found.log) == (expected.choices, expected.step, expected.log)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.whole == expected.whole
    assert config.seed == 1
    for value in found.ends():  # what is drawn can be typed, and is known again
        override = found.override(value)
        assert found.value(override) == value
        compose.compose([*fixed, override])


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ([], "nothing is searched"),
        (["optimizer.lr=interval(-1,1)"], "optimizer.lr=-1.0: must be a number above 0"),
        (["optimizer.lr=interval(1,0.1)"], "its start must be not above its end"),
        (["optimizer.lr=tag(log,interval(0,1))"], "its start must be above 0"),
        (["optimizer.lr=tag(logarithm,interval(0.1,1))"], "the tag logarithm means nothing here"),
        (["model.depth=interval(1.5,3)"], "model.depth=1.5: must be an integer"),
        (["optimizer.lr=tag(log,choice(1,2))"], "log is for intervals and ranges"),
        (["model=transformer,nobody"], "model=nobody: must be one of"),
        ([LR, "hydra.sweeper.sampler=best"], "hydra.sweeper.sampler=best: must be one of tpe"),
        ([LR, "hydra.sweeper.n_trial=3"], "did you mean hydra.sweeper.n_trials?"),
        ([LR, "hydra.sweeper.n_trials=null"], "hydra.sweeper.n_trials=null"),
        ([LR, "hydra.sweeper.sampler=grid"], "optimizer.lr: an interval has no end of values for a grid"),
        (
            [LR, "hydra.sweeper.objective=val/nothing"],
            "objective=val/nothing: must be one of val/accuracy",
        ),
        ([LR, "hydra.sweeper.objective=test/accuracy"], "chosen by the test split"),
        ([LR, "hydra.sweeper.objective=seconds"], "hydra.sweeper.direction=null"),
        ([LR, "hydra.sweeper.objective=[seconds,steps]", "hydra.sweeper.direction=[minimize]"], "1 for 2 objectives"),
        ([LR, "hydra.sweeper.objective=[seconds,steps]", "hydra.sweeper.pruner=median"], "with several objectives"),
        (
            [LR, "hydra.sweeper.storage=mysql://host/db"],
            "storage=mysql://host/db: must be null, or one of",
        ),
        ([LR, "hydra.sweeper.storage=sqlite:///none/study.db"], "none is no directory"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(sweeps, overrides, named):
    assert sweeps.train(OPTUNA, *overrides) == 2
    assert named in sweeps.err
    assert sweeps.err.count("\n") == 1
    assert list(sweeps.place.iterdir()) == []


def test_a_whole_search_may_stand_in_a_file(sweeps, tmp_path):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "search.yaml").write_text(
        "# @package _global_\ndefaults: [{override /hydra/sweeper: optuna}]\n"
        "hydra:\n  sweeper: {n_trials: 3, params: {optimizer.lr: 'interval(0.1,0.2)', seed: 4}}\n"
    )
    assert sweeps.train("experiment=search", "--config-dir", str(tmp_path / "own")) == 0
    given = [dict(override.split("=") for override in job["overrides"]) for job in sweeps.jobs()]
    assert len(given) == 3
    assert all(0.1 <= float(job["optimizer.lr"]) <= 0.2 and job["seed"] == "4" for job in given)


@pytest.mark.parametrize("missing", ["optuna", "cmaes"])
def test_a_missing_package_is_named(sweeps, monkeypatch, missing):
    monkeypatch.setattr("attnpred.sweep.sweepers.optuna.find_spec", lambda name: None if name == missing else name)
    assert sweeps.train(OPTUNA, LR, "hydra.sweeper.sampler=cmaes") == 2
    assert f"{missing} is not installed; pip install -e '.[optuna]'" in sweeps.err


def test_a_secret_is_no_choice():
    """Studies are files in which every choice stands."""
    with pytest.raises(UserError, match=r"logger\.project: one of its choices holds a secret"):
        space.split(["logger.project=plain,hf_abcdefghijklmnopqrstuvwx"])
