"""Sweeps of jobs that only look like runs."""

import pytest

from attnpred.sweep import job
from tests.sweep.made import FAKE, Sweeps


@pytest.fixture
def sweeps(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path.with_name(f"{tmp_path.name}-config")))  # of the seal's key
    monkeypatch.setattr(job, "PROGRAM", FAKE)
    monkeypatch.chdir(tmp_path)
    return Sweeps(tmp_path, monkeypatch, capsys)
