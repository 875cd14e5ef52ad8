"""Storages, records and values of a sweep that are none: each is one line, and nothing is touched."""

import pytest

from tests.safety.made import contents, edit_json, refused_sweep
from tests.sweep.made import LR, OPTUNA

# ---- files that are no storage


@pytest.mark.parametrize(
    "content", [b"my thesis\nlast line", b"no newline", b'{"a": 1}\n{', b'{"op_code":0}\nmine', b"{"]
)
@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_a_file_that_is_no_storage_is_left_as_it_is(content, kind, sweeps):
    pytest.importorskip("optuna")
    (sweeps.place / "thesis").write_bytes(content)
    before = contents(sweeps.place)
    line = refused_sweep(sweeps, "train", "-m", OPTUNA, LR, f"hydra.sweeper.storage={kind}:///thesis", "output_dir=out")
    assert "is left as it is" in line
    assert contents(sweeps.place) == before


def test_another_programs_database_is_left_as_it_is(sweeps):
    import sqlite3

    pytest.importorskip("optuna")
    with sqlite3.connect(sweeps.place / "bank.db") as database:
        database.execute("CREATE TABLE accounts (name TEXT)")
    before = contents(sweeps.place)
    assert "no SQLite file of Optuna's" in refused_sweep(
        sweeps, "train", "-m", OPTUNA, LR, "hydra.sweeper.storage=sqlite:///bank.db"
    )
    assert contents(sweeps.place) == before


def test_a_lock_does_not_empty_a_file(sweeps):
    pytest.importorskip("optuna")
    (sweeps.place / "poetry.lock").write_text("pinned")
    line = refused_sweep(sweeps, "train", "-m", OPTUNA, LR, "hydra.sweeper.storage=journal:///poetry")
    assert "poetry.lock is in the way" in line
    assert (sweeps.place / "poetry.lock").read_text() == "pinned"


def test_a_torn_journal_still_goes_on(sweeps, monkeypatch):
    pytest.importorskip("optuna")
    from attnpred.sweep import trials

    monkeypatch.setattr(trials.Trials, "plot", lambda self: None)
    storage = "hydra.sweeper.storage=journal:///own"
    assert sweeps.train(OPTUNA, LR, storage, "hydra.sweeper.n_trials=1") == 0
    with (sweeps.place / "own").open("a") as stream:
        stream.write('{"op_')
    assert sweeps.train(OPTUNA, LR, storage, "hydra.sweeper.n_trials=1") == 0


# ---- odd content


ODD = {
    "null": lambda values: values.update(overrides=None),
    "number": lambda values: values.update(directory=3),
    "unknown": lambda values: values.update(further=1),
    "large": lambda values: values["jobs"][0].update(trial=10**400),
    "nan": lambda values: values["jobs"][0].update(values={"val/accuracy": float("nan")}),
    "text": lambda values: values["jobs"][0].update(values={"val/accuracy": "1"}),
    "status": lambda values: values["jobs"][0].update(status=["done"]),
    "zero": lambda values: values["overrides"].append("a=\0"),
    "half": lambda values: values["overrides"].append("a=\ud800"),
    "place": lambda values: values["jobs"][0].update(directory="../.."),
    "objective": lambda values: values.update(objective={"val/accuracy": "more"}),
    "no objective": lambda values: values.update(objective={}),
    "study": lambda values: values.update(sweeper={"study_name": 3}),
    "packages": lambda values: values.update(packages=["a b"]),
    "bool": lambda values: values["jobs"][0].update(number=False),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_damaged_record_is_named_and_in_nobodys_way(kind, sweeps):
    assert sweeps.train("seed=1,2") == 0
    place = sweeps.directory
    edit_json(place / "sweep.json", ODD[kind])
    assert f"{place / 'sweep.json'}: does not describe a sweep" in refused_sweep(sweeps, "resume", place)
    damaged = contents(place)
    assert sweeps.train("seed=1,2") == 0
    assert sum("does not describe a sweep" in line for line in sweeps.err.splitlines()) == 1
    assert contents(place) == damaged


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"", b"3", b'{"jobs": [], "overrides": []}', b"1" * 5000])
def test_what_is_no_record_is_named(content, sweeps):
    assert sweeps.train("seed=1") == 0
    (sweeps.directory / "sweep.json").write_bytes(content)
    assert "restore the file" in refused_sweep(sweeps, "resume", sweeps.directory)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", '{"status": ["done"]}'),
        ("run.json", '{"status": "done", "ended": {}}'),
        ("metrics.json", '{"val": 3}'),
        ("metrics.json", '{"val": {"best": {"accuracy": 1' + "0" * 400 + "}}}"),
        ("metrics.jsonl", '{"val/accuracy": 1' + "0" * 400 + "}\n"),
    ],
)
def test_strange_records_of_a_job_are_no_traceback(name, content, sweeps, theirs):
    place = theirs()
    (place / "1" / name).write_text(content)
    assert sweeps.command("resume", str(place)) == 0, sweeps.err


# ---- how many jobs


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed=range(3,0)", "holds no value"),
        ("seed=range(0,3,0)", "steps by 0"),
        ("seed=range(0,3,-1)", "holds no value"),
        ("model=glob(*)", "glob(…)"),
        ("seed=range(0,100000000000)", "at most 100,000"),
        ("optimizer.lr=range(0,1,1e-9)", "at most 100,000"),
        ("optimizer.lr=range(0,inf)", "finite"),
        ("optimizer.lr=range(nan,3)", "finite"),
        ("optimizer.lr=range(0,1,1e-400)", "steps by 0"),
        (f"seed=range(0,1{'0' * 400})", "too many values"),
        ("optimizer.lr=interval(0,1)", "list them"),
    ],
)
def test_sweeps_without_end_or_beginning_are_named(override, told, sweeps):
    line = refused_sweep(sweeps, "train", "-m", "output_dir=out", override)
    assert override.partition("=")[0] in line
    assert told in line
    assert not (sweeps.place / "out").exists()


def test_the_product_is_bounded_too(sweeps):
    values = ["seed=range(0,1000)", "optimizer.lr=range(1,1000)"]
    assert "makes 999,000 jobs" in refused_sweep(sweeps, "train", "-m", "output_dir=out", *values)


@pytest.mark.parametrize(
    "override",
    [
        "optimizer.lr=interval(0,inf)",
        "optimizer.lr=interval(nan,1)",
        "seed=range(3,0)",
        "seed=range(0,3,0)",
        "model=glob(*)",
    ],
)
def test_searches_likewise(override, sweeps):
    pytest.importorskip("optuna")
    line = refused_sweep(sweeps, "train", "-m", OPTUNA, "output_dir=out", override)
    assert override in line


def test_a_grid_is_bounded(sweeps):
    pytest.importorskip("optuna")
    grid = [OPTUNA, "hydra.sweeper.sampler=grid", "optimizer.lr=range(0.5,1,1e-9)"]
    assert "at most 100,000" in refused_sweep(sweeps, "train", "-m", "output_dir=out", *grid)
