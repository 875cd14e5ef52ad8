"""A sweep directory from a stranger runs no code, and reaches nothing outside of it without the user's word."""

import json
import shutil
from pathlib import Path

import pytest

from attnpred.sweep import job, seal
from attnpred.sweep.launchers import submitit
from tests.safety.made import edit_json, pickled
from tests.sweep.made import FAKE, LR, OPTUNA, Sweeps

SEARCH = [OPTUNA, LR, "model.depth=interval(1,3)", "hydra.sweeper.startup_trials=1", "resume=auto"]


@pytest.fixture
def sweeps(tmp_path, monkeypatch, capsys):
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(job, "PROGRAM", FAKE)
    monkeypatch.chdir(place)
    return Sweeps(place, monkeypatch, capsys)


@pytest.fixture
def theirs(sweeps, tmp_path):
    """Makes a sweep, all of whose jobs are done but the last, as another user would send it."""

    def make(*overrides, change=lambda values: None):
        assert sweeps.train(*(overrides or ["seed=1,2"])) == 0
        place = Path(shutil.move(sweeps.directory, tmp_path / "theirs"))
        (tmp_path / "config" / "attnpred" / "sweeps.key").unlink()

        def edit(values):
            values["status"] = "interrupted"
            values["overrides"] = [one for one in values["overrides"] if not one.startswith("output_dir")]
            for one in values["jobs"]:
                one["overrides"] = [text for text in one["overrides"] if not text.startswith("output_dir")]
            values["jobs"][-1]["status"] = "waiting"
            change(values)

        edit_json(place / "sweep.json", edit)
        (place / "1" / "run.json").unlink(missing_ok=True)
        sweeps.tell()
        return place

    return make


def refused(sweeps, *arguments):
    assert sweeps.command(*map(str, arguments)) == 2, sweeps.err
    assert sweeps.err.count("\n") == 1, sweeps.err
    assert sweeps.out == ""
    return sweeps.err


def files(place):
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and not path.is_symlink()}


# ---- code


def plant(storage, study_name, witness):
    """Adds a trial that holds the state of CMA-ES, as Optuna's own sampler would unpickle it."""
    optuna = pytest.importorskip("optuna")
    study = optuna.load_study(study_name=study_name, storage=storage)
    like = study.get_trials()[0]
    attributes = {"cma:optimizer:0": pickled(witness).hex(), "cma:generation": 0}
    study.add_trial(
        optuna.trial.create_trial(
            value=0.5, params=like.params, distributions=like.distributions, system_attrs=attributes
        )
    )


@pytest.mark.parametrize("own", [True, False], ids=["ours", "optunas"])
@pytest.mark.parametrize("storage", [None, "sqlite:///study.db", "journal:///other.journal"])
def test_the_state_of_a_sampler_is_not_unpickled(storage, own, sweeps, theirs, tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna")
    from attnpred.sweep import trials
    from attnpred.sweep.study import Place

    monkeypatch.setattr(trials.Trials, "plot", lambda self: None)
    cmaes = [*SEARCH, "hydra.sweeper.sampler=cmaes"]
    given = [f"hydra.sweeper.storage={storage}"] if storage else []

    def more(values):
        values["overrides"] = [text.replace("n_trials=3", "n_trials=8") for text in values["overrides"]]
        values["jobs"][-1]["status"] = "done"

    place = theirs(*cmaes, "hydra.sweeper.n_trials=3", *given, change=more)
    name = json.loads((place / "sweep.json").read_text())["sweeper"]["study_name"]
    witness = tmp_path / "witness"
    plant(Place(storage or "journal:///study.journal", sweeps.place if storage else place).open(), name, witness)
    if not own:  # what would happen
        monkeypatch.setattr(trials, "Evolution", lambda count, seed: optuna.samplers.CmaEsSampler(n_startup_trials=1))
        with pytest.raises(Exception):  # noqa: B017, PT011 - what was unpickled is no sampler's state
            sweeps.command("resume", str(place), *given)
        assert witness.exists()
        return
    assert sweeps.command("resume", str(place), *given) == 0, sweeps.err
    assert not witness.exists()
    assert len(json.loads((place / "sweep.json").read_text())["jobs"]) == 7  # the planted one counts


@pytest.mark.parametrize("sampler", ["cmaes", "tpe", "nsga2", "qmc", "random"])
def test_no_sampler_keeps_pickles(sampler, sweeps, monkeypatch):
    optuna = pytest.importorskip("optuna")
    from attnpred.sweep import trials

    monkeypatch.setattr(trials.Trials, "plot", lambda self: None)
    assert sweeps.train(*SEARCH, f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.n_trials=10") == 0
    assert not issubclass(optuna.storages.journal.JournalFileBackend, optuna.storages.journal._base.BaseJournalSnapshot)
    assert "optimizer:" not in (sweeps.directory / "study.journal").read_text()


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"op_code": 99, "worker_id": "x"},
        {"op_code": 4, "worker_id": "x", "study_id": 0, "datetime_start": 3},
        {
            "op_code": 4,
            "worker_id": "x",
            "study_id": 0,
            "datetime_start": None,
            "user_attrs": {"worker": [], "job": "x"},
        },
        {"op_code": 4, "worker_id": "x", "study_id": 0, "datetime_start": None, "intermediate_values": {"1": "x"}},
    ],
)
def test_a_strange_journal_is_named(line, sweeps, theirs):
    pytest.importorskip("optuna")
    place = theirs(*SEARCH, "hydra.sweeper.n_trials=2")
    with (place / "study.journal").open("a") as stream:
        stream.write(json.dumps(line, separators=(",", ":")) + "\n")
    sweeps.command("resume", str(place))
    assert "Traceback" not in sweeps.err
    assert "journal:///study.journal" in sweeps.err


def test_a_job_of_slurms_reads_no_pickle_that_lay_there(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    here = job.Job(0, [], tmp_path / "0")
    planted = here.directory / submitit.FOLDER
    planted.mkdir(parents=True)
    launcher = submitit.Submitit(
        submitit.SubmititConfig(
            _target_="", n_jobs=1, on_failure="continue", cluster="local", minutes=1, cpus=1, gpus=0,
            memory_gib=None, partition=None, account=None, setup=[], sbatch={}, retries=0,
        )
    )  # fmt: skip
    launcher.start(here, ["true"], str(tmp_path))
    (queued,) = launcher.queued
    assert queued.handle.paths.folder.parent == planted
    assert len(queued.handle.paths.folder.name) == 16
    while not launcher.finished(1):
        pass
    assert list(planted.rglob("*.pkl")) == []


# ---- links


@pytest.mark.parametrize(
    "name", ["1/spec.json", "1/job.log", "1/metrics.jsonl", "1", ".lock", "plots", "study.journal.lock"]
)
def test_links_that_lead_out_are_not_followed(name, sweeps, theirs, tmp_path):
    place = theirs()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    path = place / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(outside if name in ("1", "plots") else outside / "precious")
    line = refused(sweeps, "resume", place)
    assert path.name in line
    assert "link" in line
    assert files(outside) == {outside / "precious": b"mine"}


# ---- what reaches out


@pytest.mark.parametrize(
    "override",
    [
        "data.cache_dir=/tmp/elsewhere",
        "output_dir=/tmp/elsewhere",
        "logger.tracking_uri='http://example.org'",
        "logger=wandb",
        "logger.mlflow=true",
        "logger.others={a:{_target_:x}}",
        "hydra.launcher.setup=['touch x']",
        "hydra.launcher={setup:['touch x']}",
        "hydra/launcher=submitit_slurm",
        "hydra.sweeper.storage='sqlite:////tmp/elsewhere.db'",
        "hydra.sweeper={storage:'sqlite:////tmp/elsewhere.db'}",
        "hydra.sweeper.params={data.cache_dir:'/tmp/elsewhere'}",
        "data={cache_dir:/tmp/elsewhere}",
        "data.cache_dir=/tmp/a,/tmp/b",
    ],
)
@pytest.mark.parametrize("where", ["sweep", "job"])
def test_what_reaches_out_needs_the_users_word(override, where, sweeps, theirs):
    def change(values):
        (values["overrides"] if where == "sweep" else values["jobs"][1]["overrides"]).append(override)

    place = theirs(change=change)
    before = files(place)
    line = refused(sweeps, "resume", place)
    assert "was not made by you on this machine" in line
    assert override.split("=")[0] in line.partition("say so: ")[2]
    assert files(place) == before


def test_the_users_word_is_taken_and_is_not_asked_for_again(sweeps, theirs, tmp_path):
    def change(values):
        for overrides in (values["overrides"], values["jobs"][1]["overrides"]):
            overrides.append("data.cache_dir=/tmp/elsewhere")

    place = theirs(change=change)
    own = f"data.cache_dir={tmp_path / 'own'}"
    assert sweeps.command("resume", str(place), own) == 0, sweeps.err
    values = json.loads((place / "sweep.json").read_text())
    assert own in values["overrides"]
    assert own in values["jobs"][1]["overrides"]
    assert "/tmp/elsewhere" not in json.dumps(values)
    assert sweeps.command("resume", str(place)) == 0, sweeps.err


def test_a_strangers_sweep_without_such_goes_on_where_the_user_stands(sweeps, theirs, tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir()
    place = theirs(change=lambda values: values.update(directory=str(trap)))
    assert sweeps.command("resume", str(place)) == 0, sweeps.err
    assert json.loads((place / "sweep.json").read_text())["directory"] == str(sweeps.place)


@pytest.mark.parametrize("text", ["--package=evil", "--config-dir=/tmp", "-m", "--run-dir"])
def test_overrides_are_no_options_of_the_command(text, sweeps, theirs):
    place = theirs(change=lambda values: values["jobs"][1]["overrides"].append(text))
    assert "not an override" in refused(sweeps, "resume", place)


@pytest.mark.parametrize("override", ["seed=5", "optimizer.lr=3", "data.cache_dir=a,b"])
def test_another_sweep_is_not_made_of_it(override, sweeps, theirs):
    assert override in refused(sweeps, "resume", theirs(), override)


def test_ones_own_sweep_goes_on_unasked_and_a_strangers_is_not_found_again(sweeps, tmp_path):
    own = ["seed=1,2", f"data.cache_dir={tmp_path / 'cache'}"]
    assert sweeps.train(*own) == 0
    place = sweeps.directory
    assert sweeps.command("resume", str(place)) == 0, sweeps.err
    edit_json(place / "sweep.json", lambda values: values.update(status="interrupted"))
    assert sweeps.train(*own) == 0
    assert "was not made by you on this machine; it is left as it is" in sweeps.err
    assert sweeps.directory != place
    assert "data.cache_dir" in refused(sweeps, "resume", place)


def test_the_key_is_the_users_alone(sweeps):
    assert sweeps.train("seed=1") == 0
    assert seal.file().stat().st_mode & 0o777 == 0o600
    seal.file().chmod(0o644)
    assert "others may read it" in refused(sweeps, "train", "-m", "output_dir=other", "seed=1")
    seal.file().write_bytes(b"")
    assert "is no key" in refused(sweeps, "train", "-m", "output_dir=other", "seed=1")
    assert not (sweeps.place / "other").exists()


# ---- secrets


def test_what_is_kept_holds_no_secret_and_the_jobs_still_get_them(sweeps, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_TOKEN", "planted-4711-token")
    secret = ["logger.project=planted-4711-token", "data.source='https://me:planted-4712@example.org/x'"]
    sweeps.tell(overrides=True, fail="seed=2", say=f"Traceback {tmp_path}/x planted-4711-token")
    assert sweeps.train("seed=1,2", *secret, "hydra.launcher.n_jobs=2") == 1
    place = sweeps.directory
    kept = b"".join(files(place).values())
    for text in ("planted-4711", "planted-4712", str(tmp_path)):
        assert text.encode() not in kept, text
    assert "Traceback ~/x ***" in (place / "1" / "job.log").read_text()
    assert "planted-4711-token" in sweeps.log.read_text()
    # goes on with what the environment still has, and asks for what it has not
    sweeps.log.unlink()
    sweeps.tell(overrides=True)
    line = refused(sweeps, "resume", place).strip()
    assert "keeps no secrets" in line
    assert line.endswith("data.source=…")
    assert sweeps.command("resume", str(place), secret[1]) == 0, sweeps.err
    assert "logger.project: its secret comes from MY_TOKEN again" in sweeps.err
    assert "planted-4711-token" in sweeps.log.read_text()
    assert "planted-4712" in sweeps.log.read_text()
    assert b"planted" not in b"".join(files(place).values())


def test_the_same_command_finds_its_sweep_though_secrets_are_not_kept(sweeps, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "planted-4711-token")
    sweeps.tell(fail="seed=1", overrides=True)
    command = ["seed=1,2", "logger.project=planted-4711-token"]
    assert sweeps.train(*command, "hydra.launcher.on_failure=stop") == 1
    sweeps.log.unlink()
    sweeps.tell(overrides=True)
    assert sweeps.train(*command) == 1
    assert "was not finished; going on with it" in sweeps.err
    assert "planted-4711-token" in sweeps.log.read_text()


def test_a_strangers_sweep_gets_no_secret_of_the_environment(sweeps, theirs, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "planted-4711-token")

    def change(values):
        values["overrides"].append("logger.project='***'")
        values["variables"] = {"logger.project": "MY_TOKEN"}

    assert "logger.project=…" in refused(sweeps, "resume", theirs(change=change))


# ---- files that are no storage


@pytest.mark.parametrize(
    "content", [b"my thesis\nlast line", b"no newline", b'{"a": 1}\n{', b'{"op_code":0}\nmine', b"{"]
)
@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_a_file_that_is_no_storage_is_left_as_it_is(content, kind, sweeps):
    pytest.importorskip("optuna")
    (sweeps.place / "thesis").write_bytes(content)
    before = files(sweeps.place)
    line = refused(sweeps, "train", "-m", OPTUNA, LR, f"hydra.sweeper.storage={kind}:///thesis", "output_dir=out")
    assert "is left as it is" in line
    assert files(sweeps.place) == before


def test_another_programs_database_is_left_as_it_is(sweeps):
    import sqlite3

    pytest.importorskip("optuna")
    with sqlite3.connect(sweeps.place / "bank.db") as database:
        database.execute("CREATE TABLE accounts (name TEXT)")
    before = files(sweeps.place)
    assert "no SQLite file of Optuna's" in refused(
        sweeps, "train", "-m", OPTUNA, LR, "hydra.sweeper.storage=sqlite:///bank.db"
    )
    assert files(sweeps.place) == before


def test_a_lock_does_not_empty_a_file(sweeps):
    pytest.importorskip("optuna")
    (sweeps.place / "poetry.lock").write_text("pinned")
    line = refused(sweeps, "train", "-m", OPTUNA, LR, "hydra.sweeper.storage=journal:///poetry")
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
    "study": lambda values: values.update(sweeper={"study_name": 3}),
    "packages": lambda values: values.update(packages=["a b"]),
    "bool": lambda values: values["jobs"][0].update(number=False),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_damaged_record_is_named_and_in_nobodys_way(kind, sweeps):
    assert sweeps.train("seed=1,2") == 0
    place = sweeps.directory
    edit_json(place / "sweep.json", ODD[kind])
    assert f"{place / 'sweep.json'}: does not describe a sweep" in refused(sweeps, "resume", place)
    damaged = files(place)
    assert sweeps.train("seed=1,2") == 0
    assert sum("does not describe a sweep" in line for line in sweeps.err.splitlines()) == 1
    assert files(place) == damaged


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"", b"3", b'{"jobs": [], "overrides": []}', b"1" * 5000])
def test_what_is_no_record_is_named(content, sweeps):
    assert sweeps.train("seed=1") == 0
    (sweeps.directory / "sweep.json").write_bytes(content)
    assert "restore the file" in refused(sweeps, "resume", sweeps.directory)


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
    line = refused(sweeps, "train", "-m", "output_dir=out", override)
    assert override.partition("=")[0] in line
    assert told in line
    assert not (sweeps.place / "out").exists()


def test_the_product_is_bounded_too(sweeps):
    values = ["seed=range(0,1000)", "optimizer.lr=range(1,1000)"]
    assert "makes 999,000 jobs" in refused(sweeps, "train", "-m", "output_dir=out", *values)


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
    line = refused(sweeps, "train", "-m", OPTUNA, "output_dir=out", override)
    assert override in line


def test_a_grid_is_bounded(sweeps):
    pytest.importorskip("optuna")
    grid = [OPTUNA, "hydra.sweeper.sampler=grid", "optimizer.lr=range(0.5,1,1e-9)"]
    assert "at most 100,000" in refused(sweeps, "train", "-m", "output_dir=out", *grid)
