"""Searches: what they draw, what they write down, and that every trial is done once whatever dies when."""

from contextlib import nullcontext
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")

from attnpred.config import compose  # noqa: E402
from attnpred.sweep import parent, state, trials  # noqa: E402
from attnpred.sweep.study import Place  # noqa: E402
from tests.sweep.made import LR, OPTUNA, Died, assert_shared, driven, workers  # noqa: E402
from tests.waiting import wait_for  # noqa: E402


@pytest.fixture(autouse=True)
def no_pictures(request, monkeypatch):
    """They take a second each, and one test looks at them."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(trials.Trials, "plot", lambda self: None)


def study_of(sweeps, storage=None, name=None):
    place = Place(storage or "journal:///study.journal", sweeps.directory if storage is None else sweeps.place)
    return optuna.load_study(study_name=name or sweeps.state()["sweeper"]["study_name"], storage=place.open())


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2", "random", "qmc"])
def test_samplers_draw_within_the_space_and_never_twice_the_same(sweeps, sampler):
    more = [LR, "model.depth=interval(1,3)", "data.batch_size=8,16", f"hydra.sweeper.sampler={sampler}"]
    assert sweeps.train(OPTUNA, *more, "hydra.sweeper.n_trials=8", "hydra.sweeper.startup_trials=2") == 0
    found = study_of(sweeps).get_trials()
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 8
    assert len({trial.params["optimizer.lr"] for trial in found}) == 8
    for trial, job in zip(found, sweeps.jobs(), strict=True):
        assert 0.01 <= trial.params["optimizer.lr"] <= 1
        assert trial.params["model.depth"] in (1, 2, 3)
        assert job["overrides"][1:] == [f"{key}={value}" for key, value in trial.params.items()]
        assert trial.value == job["values"]["val/accuracy"]


def test_the_same_seed_draws_the_same_and_another_another(sweeps):
    drawn = []
    for seed in (0, 0, 1):
        assert (
            sweeps.train(OPTUNA, LR, "hydra.sweeper.n_trials=4", f"seed={seed}", "hydra.sweeper.startup_trials=2") == 0
        )
        drawn.append([job["overrides"][-1] for job in sweeps.jobs()])
    assert drawn[0] == drawn[1]
    assert not set(drawn[0]) & set(drawn[2])


def test_a_grid_is_every_combination_once(sweeps):
    more = [
        "optimizer.lr=0.1,0.3",
        "model.depth=range(1,4)",
        "hydra.sweeper.sampler=grid",
        "hydra.sweeper.n_trials=null",
    ]
    assert sweeps.train(OPTUNA, *more, "hydra.launcher.n_jobs=3") == 0
    drawn = [tuple(job["overrides"][1:]) for job in sweeps.jobs()]
    assert len(drawn) == len(set(drawn)) == 6


def test_several_objectives(sweeps):
    more = ["hydra.sweeper.objective=[val/accuracy,seconds]", "hydra.sweeper.direction=[maximize,minimize]"]
    assert sweeps.train(OPTUNA, LR, *more, "hydra.sweeper.sampler=nsga2", "hydra.sweeper.n_trials=4") == 0
    study = study_of(sweeps)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert all(len(trial.values) == 2 for trial in study.get_trials())
    assert sweeps.state()["objective"] == {"val/accuracy": "maximize", "seconds": "minimize"}


def test_failed_trials_and_those_without_a_number_are_recorded_as_such(sweeps):
    sweeps.tell(fail="model.depth=1", nan="model.depth=2")
    assert sweeps.train(OPTUNA, "model.depth=1,2,3", "hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=3") == 1
    found = {trial.params["model.depth"]: trial.state.name for trial in study_of(sweeps).get_trials()}
    assert found == {1: "FAIL", 2: "FAIL", 3: "COMPLETE"}
    # tried again, a failed trial makes room for another with its values
    sweeps.tell()
    assert sweeps.command("resume", str(sweeps.directory)) == 0
    again = study_of(sweeps).get_trials()
    assert [trial.state.name for trial in again] == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert again[3].params == again[0].params
    assert len(sweeps.jobs()) == 3


def test_a_job_that_ends_is_replaced_at_once(sweeps):
    sweeps.tell(seconds=0.05)
    order = []
    with pytest.MonkeyPatch.context() as patch:
        started, ended = parent.Parent._start, parent.Parent._ended
        patch.setattr(parent.Parent, "_start", lambda *a: (order.append("start"), started(*a))[1])
        patch.setattr(parent.Parent, "_ended", lambda *a: (order.append("end"), ended(*a))[1])
        assert sweeps.train(OPTUNA, LR, "hydra.sweeper.n_trials=6", "hydra.launcher.n_jobs=2") == 0
    assert order[:2] == ["start", "start"]
    running = 0
    for index, what in enumerate(order):
        running += 1 if what == "start" else -1
        # between two ends there is a start, while trials are left, unless both ended at the same moment
        assert 0 <= running <= 2
        if order[:index].count("start") < 6 and what == "end" and running == 0:
            assert order[index - 1] == "end"


@pytest.mark.parametrize(
    "storage",
    [None, *(pytest.param(other, marks=pytest.mark.slow) for other in ("memory", "sqlite:///study.db"))],
)
def test_pruned_trials_end_early_and_the_sweep_goes_on(sweeps, storage):
    sweeps.tell(curve=6, pause=0.2)
    values = "optimizer.lr=0.3,1,0.9"  # the later ones are worse at every step
    more = ["hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=3", "hydra.sweeper.pruner=median"]
    more += ["hydra.sweeper.startup_trials=1", *([f"hydra.sweeper.storage={storage}"] if storage else [])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parent, "TICK", 0.02)
        assert sweeps.train(OPTUNA, values, *more) == 0
    assert sweeps.statuses() == ["done", "pruned", "pruned"]
    assert sweeps.state()["status"] == "done"
    assert "1 of 3 done, 2 pruned" in sweeps.err
    if storage != "memory":
        found = study_of(sweeps, storage).get_trials()
        assert [trial.state.name for trial in found] == ["COMPLETE", "PRUNED", "PRUNED"]
        assert len(found[0].intermediate_values) > len(found[1].intermediate_values) > 0


@pytest.mark.parametrize("name", ["median", "hyperband", "patient"])
def test_pruners_are_optunas(sweeps, name):
    config, _ = compose.engine([OPTUNA, f"hydra.sweeper.pruner={name}"])[::-1]
    assert type(trials.pruner(config)).__name__.lower() == f"{name}pruner"


STORAGES = ["journal:///study.journal", "sqlite:///study.db", "memory"]
PLACES = [
    (state, "write_json"),
    (optuna.study.Study, "ask"),
    (optuna.study.Study, "tell"),
    (optuna.trial.Trial, "set_user_attr"),
    (optuna.trial.Trial, "suggest_float"),
    (parent.Parent, "_start"),
    (parent.Parent, "_ended"),
]
MOMENTS = [
    *((STORAGES[1], owner, name, after) for owner, name in PLACES for after in (False, True)),
    *((storage, owner, name, True) for storage in (STORAGES[0], STORAGES[2]) for owner, name in PLACES[:3]),
]


@pytest.mark.parametrize(("storage", "owner", "name", "after"), MOMENTS)
def test_wherever_the_parent_dies_every_trial_is_done_once(sweeps, storage, owner, name, after):
    """It dies just before or just after something is written for the second time."""
    search = [OPTUNA, LR, "hydra.sweeper.n_trials=3", f"hydra.sweeper.storage={storage}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, dying(getattr(owner, name), at=2, after=after))
        with pytest.raises(Died):
            sweeps.train(*search)
    assert sweeps.train(*search) == 0
    assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 1
    assert sweeps.statuses() == ["done"] * 3
    drawn = [job["overrides"][-1] for job in sweeps.jobs()]
    assert len(set(drawn)) == 3
    if storage != "memory":
        found = study_of(sweeps, storage).get_trials()
        assert [trial.state.name for trial in found] == ["COMPLETE"] * 3
        assert [f"optimizer.lr={trial.params['optimizer.lr']}" for trial in found] == drawn


def dying(original, *, at, after):
    calls = []

    def call(*args, **kwargs):
        calls.append(1)
        if len(calls) < at:
            return original(*args, **kwargs)
        if after and len(calls) == at:
            original(*args, **kwargs)
        raise Died

    return call


@pytest.mark.slow
def test_killed_at_any_moment_a_search_has_as_many_trials_as_asked(sweeps):
    sweeps.tell(seconds=0.3)
    search = [OPTUNA, LR, "hydra.sweeper.n_trials=7", "hydra.launcher.n_jobs=2"]
    for bound in (2, 4):
        child = driven(sweeps, *search)
        wait_for(lambda bound=bound: len(set(sweeps.noted("end"))) >= bound, child)
        child.kill()
        child.communicate()
    child = driven(sweeps, *search)
    _, err = child.communicate(timeout=100)
    assert child.returncode == 0, err
    assert sweeps.statuses() == ["done"] * 7
    assert [trial.state.name for trial in study_of(sweeps).get_trials()] == ["COMPLETE"] * 7
    assert sorted(sweeps.noted("end")) == [str(number) for number in range(7)]


def test_a_torn_line_of_a_journal_is_cut(tmp_path):
    place = Place("journal:///study.journal", tmp_path)
    optuna.create_study(study_name="s", storage=place.open()).add_trial(optuna.trial.create_trial(value=1.0))
    with (tmp_path / "study.journal").open("ab") as stream:
        stream.write(b'{"op_code": 4, "wor')
    study = optuna.load_study(study_name="s", storage=place.open())
    study.add_trial(optuna.trial.create_trial(value=2.0))
    assert [trial.value for trial in optuna.load_study(study_name="s", storage=place.open()).trials] == [1.0, 2.0]


@pytest.mark.long
def test_two_workers_share_a_study_in_a_file(sweeps):
    sweeps.tell(seconds=0.2)
    codes, told = workers(sweeps, "sqlite:///study.db", n_trials=8)
    assert codes == [0, 0], told
    assert_shared(sweeps, study_of(sweeps, "sqlite:///study.db", "shared"), 8)


def test_a_study_of_another_search_is_refused(sweeps):
    shared = ["hydra.sweeper.storage=sqlite:///study.db", "hydra.sweeper.study_name=shared", "hydra.sweeper.n_trials=1"]
    assert sweeps.train(OPTUNA, "model.depth=1,2", *shared) == 0
    first = sweeps.directory
    assert sweeps.train(OPTUNA, "model.depth=1,2,3", *shared) == 2
    assert "study_name=shared: draws model.depth from other values" in sweeps.err
    more = ["hydra.sweeper.objective=val/loss", "hydra.sweeper.direction=minimize"]
    assert sweeps.train(OPTUNA, "model.depth=1,2", *shared, *more) == 2
    assert "is to maximize, not to minimize" in sweeps.err
    assert sweeps.directory == first


@pytest.fixture
def pictures():
    """Are made."""


@pytest.mark.usefixtures("pictures")
def test_pictures_of_a_finished_search(sweeps):
    assert sweeps.train(OPTUNA, LR, "model.depth=interval(1,3)", "hydra.sweeper.n_trials=4") == 0
    names = {"history", "importance", "slice", "parallel_coordinate"}
    files = list((sweeps.directory / "plots").iterdir())
    assert {file.stem for file in files} == names
    assert all(file.read_text().startswith("<?xml") and "<svg" in file.read_text() for file in files)
    # a single trial makes none
    assert sweeps.train(OPTUNA, LR, "hydra.sweeper.n_trials=1") == 0
    assert not (sweeps.directory / "plots").exists()


def test_a_password_is_written_nowhere(sweeps, monkeypatch):
    """The storage is replaced by one in memory, since there is no such server."""
    monkeypatch.setattr(Place, "open", lambda self: optuna.storages.InMemoryStorage())
    monkeypatch.setattr(Place, "_turn_at_server", lambda self: nullcontext())
    storage = "hydra.sweeper.storage=postgresql://me:hush@nowhere/db"
    assert sweeps.train(OPTUNA, LR, storage, "hydra.sweeper.n_trials=2") == 0
    assert "hush" not in sweeps.err + sweeps.out
    assert [file for file in sweeps.place.rglob("*") if file.is_file() and "hush" in file.read_text()] == []
    assert "postgresql://me:***@nowhere/db" in (sweeps.directory / "sweep.json").read_text()
    # gone on with by its directory, the password is for libpq to find
    assert Place("postgresql://me:***@nowhere/db", Path()).address == "postgresql+psycopg://me@nowhere/db"
