"""A sweep directory from a stranger runs no code, and reaches nothing outside of it without the user's word."""

import json
import shutil

import pytest

from attnpred.sweep import job, seal
from attnpred.sweep.launchers import submitit
from tests.safety.made import contents, edit_json, pickled, refused_sweep
from tests.sweep.made import LR, OPTUNA

SEARCH = [OPTUNA, LR, "model.depth=interval(1,3)", "hydra.sweeper.startup_trials=1", "resume=auto"]


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
    line = refused_sweep(sweeps, "resume", place)
    assert path.name in line
    assert "link" in line
    assert contents(outside) == {outside / "precious": b"mine"}


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
    before = contents(place)
    line = refused_sweep(sweeps, "resume", place)
    assert "was not made by you on this machine" in line
    assert override.split("=")[0] in line.partition("say so: ")[2]
    assert contents(place) == before


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
    assert "not an override" in refused_sweep(sweeps, "resume", place)


@pytest.mark.parametrize("override", ["seed=5", "optimizer.lr=3", "data.cache_dir=a,b"])
def test_another_sweep_is_not_made_of_it(override, sweeps, theirs):
    assert override in refused_sweep(sweeps, "resume", theirs(), override)


def test_ones_own_sweep_goes_on_unasked_and_a_strangers_is_not_found_again(sweeps, tmp_path):
    own = ["seed=1,2", f"data.cache_dir={tmp_path / 'cache'}"]
    assert sweeps.train(*own) == 0
    place = sweeps.directory
    assert sweeps.command("resume", str(place)) == 0, sweeps.err
    edit_json(place / "sweep.json", lambda values: values.update(status="interrupted"))
    assert sweeps.train(*own) == 0
    assert "was not made by you on this machine; it is left as it is" in sweeps.err
    assert sweeps.directory != place
    assert "data.cache_dir" in refused_sweep(sweeps, "resume", place)


def test_the_key_is_the_users_alone(sweeps):
    assert sweeps.train("seed=1") == 0
    assert seal.file().stat().st_mode & 0o777 == 0o600
    seal.file().chmod(0o644)
    assert "others may read it" in refused_sweep(sweeps, "train", "-m", "output_dir=other", "seed=1")
    seal.file().write_bytes(b"")
    assert "is no key" in refused_sweep(sweeps, "train", "-m", "output_dir=other", "seed=1")
    assert not (sweeps.place / "other").exists()


# ---- secrets


def test_what_is_kept_holds_no_secret_and_the_jobs_still_get_them(sweeps, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_TOKEN", "planted-4711-token")
    secret = ["logger.project=planted-4711-token", "data.source='https://me:planted-4712@example.org/x'"]
    sweeps.tell(overrides=True, fail="seed=2", say=f"Traceback {tmp_path}/x planted-4711-token")
    assert sweeps.train("seed=1,2", *secret, "hydra.launcher.n_jobs=2") == 1
    place = sweeps.directory
    kept = b"".join(contents(place).values())
    for text in ("planted-4711", "planted-4712", str(tmp_path)):
        assert text.encode() not in kept, text
    assert "Traceback ~/x ***" in (place / "1" / "job.log").read_text()
    assert "planted-4711-token" in sweeps.log.read_text()
    # goes on with what the environment still has, and asks for what it has not
    sweeps.log.unlink()
    sweeps.tell(overrides=True)
    line = refused_sweep(sweeps, "resume", place).strip()
    assert "keeps no secrets" in line
    assert line.endswith("data.source=…")
    assert sweeps.command("resume", str(place), secret[1]) == 0, sweeps.err
    assert "logger.project: its secret comes from MY_TOKEN again" in sweeps.err
    assert "planted-4711-token" in sweeps.log.read_text()
    assert "planted-4712" in sweeps.log.read_text()
    assert b"planted" not in b"".join(contents(place).values())


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

    assert "logger.project=…" in refused_sweep(sweeps, "resume", theirs(change=change))
