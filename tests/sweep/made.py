"""Sweeps of jobs that only look like runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

from attnpred.cli import main

REPOSITORY = Path(__file__).parents[2]
OPTUNA = "hydra/sweeper=optuna"
LR = "optimizer.lr=interval(0.01,1)"
FAKE = [sys.executable, "-S", "-E", str(Path(__file__).with_name("fake_job.py"))]


class Sweeps:
    """Launches sweeps of fake jobs in a place of their own."""

    def __init__(self, place: Path, monkeypatch, capsys) -> None:
        self.place, self.monkeypatch, self.capsys = place, monkeypatch, capsys
        self.log = place / "log"
        self.err = ""
        self.told: dict = {}
        self.tell()

    def tell(self, **told) -> None:
        """What the jobs shall do from now on."""
        self.told = {"log": str(self.log), **told}
        self.monkeypatch.setenv("ATTNPRED_FAKE", json.dumps(self.told))

    def train(self, *overrides: str) -> int:
        return self.command("train", "-m", f"output_dir={self.place / 'outputs'}", *overrides)

    def command(self, *arguments: str) -> int:
        self.capsys.readouterr()
        try:
            return main(list(arguments))
        finally:
            self.out, self.err = self.capsys.readouterr()

    @property
    def directory(self) -> Path:
        """Of the sweep that was made last."""
        return max((self.place / "outputs").glob("*/*-sweep-*"), key=lambda path: path.stat().st_ctime_ns)

    def state(self) -> dict:
        return json.loads((self.directory / "sweep.json").read_text())

    def jobs(self) -> list[dict]:
        return self.state()["jobs"]

    def statuses(self) -> list[str]:
        return [job["status"] for job in self.jobs()]

    def noted(self, what: str) -> list[str]:
        """The jobs, by their numbers, that started or ended."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [Path(line.split()[1]).name for line in lines if line.startswith(what)]


class Died(BaseException):
    """In place of a kill."""


DRIVER = f"""
import sys
from attnpred.sweep import job
job.PROGRAM[:] = {FAKE!r}
from attnpred.cli import main
sys.exit(main(sys.argv[1:]))
"""


def driven(sweeps, *overrides: str) -> subprocess.Popen:
    """The parent as a process of its own."""
    command = [sys.executable, "-c", DRIVER, "train", "-m", f"output_dir={sweeps.place / 'outputs'}", *overrides]
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def workers(sweeps, storage, *, n_trials):
    """Two sweeps, each a process, that share a study; their exit codes, and what each wrote to stderr."""
    shared = [f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=shared"]
    search = [OPTUNA, LR, f"hydra.sweeper.n_trials={n_trials}", *shared]
    children = [driven(sweeps, *search, f"hydra.launcher.n_jobs={count}") for count in (1, 2)]
    told = [child.communicate(timeout=120)[1] for child in children]
    return [child.returncode for child in children], told


def assert_shared(sweeps, study, n_trials):
    found = study.get_trials()
    assert [trial.state.name for trial in found] == ["COMPLETE"] * n_trials
    assert len({trial.params["optimizer.lr"] for trial in found}) == n_trials
    jobs = [
        job["trial"]
        for file in (sweeps.place / "outputs").glob("*/*-sweep-*/sweep.json")
        for job in json.loads(file.read_text())["jobs"]
    ]
    assert sorted(jobs) == list(range(n_trials))
    assert len(sweeps.noted("end")) == n_trials
