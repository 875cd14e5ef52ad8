"""Workers that share a study by a real PostgreSQL server, started here on loopback by whoever may not be root."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.sweep.made import LR, OPTUNA, assert_shared, driven
from tests.waiting import wait_for

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
psycopg = pytest.importorskip("psycopg", reason="needs the extra optuna")

from attnpred.sweep.study import Place  # noqa: E402

PASSWORD = "not-to-be-written-anywhere"
SEARCH = [OPTUNA, LR, "hydra.sweeper.study_name=shared"]


def programs() -> Path | None:
    """Where the server's programs lie: on the path, or where Debian puts them."""
    found = [Path(name).parent for name in filter(None, [shutil.which("initdb")])]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in found if (place / "initdb").exists()), None)


@pytest.fixture(scope="module")
def server():
    """Its address, with a password, for as long as these tests run."""
    place = programs()
    if place is None:
        pytest.skip("no PostgreSQL server is installed (Debian: postgresql)")
    # it refuses to be run by root
    own = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    home = Path(tempfile.mkdtemp(prefix="attnpred-postgres-"))
    (home / "password").write_text(PASSWORD)
    if own:
        for path in (home, home / "password"):
            shutil.chown(path, "postgres", "postgres")
    made = [place / "initdb", "-D", home / "data", "-U", "me", "-A", "scram-sha-256", f"--pwfile={home / 'password'}"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=home, **own)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = [f"-cport={port}", "-clisten_addresses=127.0.0.1", f"-cunix_socket_directories={home}", "-cfsync=off"]
    with (home / "log").open("w") as log:
        running = subprocess.Popen(
            [place / "postgres", "-D", home / "data", *settings],
            stdout=log,
            stderr=log,
            cwd=home,
            **own,
        )
    address = f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/postgres"
    try:
        await_server(address, running, home / "log")
        yield address
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(timeout=60)
        shutil.rmtree(home)


def await_server(address, running, log):
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.OperationalError:
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


@pytest.fixture
def clean(server):
    """The server without a study of earlier tests."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return server


@pytest.mark.long
def test_two_workers_share_a_study_though_one_is_killed(sweeps, clean):
    sweeps.tell(seconds=0.5)
    search = [*SEARCH, f"hydra.sweeper.storage={clean}", "hydra.sweeper.n_trials=16", "hydra.launcher.n_jobs=2"]
    first = driven(sweeps, *search)
    wait_for(lambda: sweeps.noted("start"), first)
    lost = sweeps.directory
    second = driven(sweeps, *search)
    wait_for(
        lambda: len(set((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 2 and len(sweeps.noted("end")) > 4, first
    )
    first.kill()
    told = [first.communicate()[1], second.communicate(timeout=120)[1]]
    assert second.returncode == 0, told[1]
    # the other took what was left, but what the first had in its hands goes on with its own sweep
    study = optuna.load_study(study_name="shared", storage=Place(clean, Path()).open())
    states = [trial.state.name for trial in study.get_trials()]
    assert len(states) == 16
    assert set(states) == {"COMPLETE", "RUNNING"}
    with pytest.MonkeyPatch.context() as patch:  # the directory does not tell the password
        patch.setenv("PGPASSWORD", PASSWORD)
        assert sweeps.command("resume", str(lost)) == 0
    assert_shared(sweeps, study, 16)
    assert not [file for file in sweeps.place.rglob("*") if file.is_file() and PASSWORD in file.read_text()]
    assert PASSWORD not in "".join([*told, sweeps.err])


def test_a_server_that_refuses_is_named_without_the_password(sweeps, clean):
    wrong = clean.replace(PASSWORD, "mistyped-secret")
    assert sweeps.train(*SEARCH, f"hydra.sweeper.storage={wrong}") == 2
    assert "hydra.sweeper.storage=postgresql+psycopg://***@" in sweeps.err
    assert "cannot be used" in sweeps.err
    assert "mistyped-secret" not in sweeps.err
    assert sweeps.err.count("\n") == 1
    assert list(sweeps.place.iterdir()) == []
