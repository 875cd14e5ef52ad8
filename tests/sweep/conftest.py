"""Sweeps of jobs that only look like runs."""

import json
import sys
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.sweep import job

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


@pytest.fixture
def sweeps(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(job, "PROGRAM", FAKE)
    monkeypatch.chdir(tmp_path)
    return Sweeps(tmp_path, monkeypatch, capsys)
