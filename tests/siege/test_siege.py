"""The corpus, and two thousand inputs more: none breaks what the siege holds against each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.siege import report
from tests.siege.case import Case
from tests.siege.kinds import NAMES

REPOSITORY = Path(__file__).parents[2]
CORPUS = sorted((Path(__file__).parent / "corpus").rglob("*.json"))
COUNT = 2000


@pytest.mark.slow
def test_the_corpus_and_two_thousand_inputs():
    command = [sys.executable, "-m", "tests.siege", "--count", str(COUNT), "--seed", "0", "--guided", "0"]
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(command, cwd=REPOSITORY, env=own, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
    *_, whole = [line for line in ended.stdout.splitlines() if line.startswith("| all |")]
    tried, refused, accepted = (int(cell.replace(",", "")) for cell in whole.split("|")[2:5])
    assert tried > COUNT * 0.9  # those that come twice are tried once
    assert refused > COUNT / 4
    assert accepted > COUNT / 20


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_file_of_the_corpus_is_a_case_of_its_kind(file):
    case = Case.of(file.read_text(encoding="utf-8"))
    assert case.kind == file.parent.name
    assert Case.of(case.text()) == case
    assert file.stat().st_size < 20_000


def test_every_kind_has_its_folder():
    assert {file.parent.name for file in CORPUS} <= set(NAMES)


def test_the_page_shows_what_is_kept():
    kept = json.loads(report.KEPT.read_text(encoding="utf-8"))
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.page(kept, page) == page
    assert set(kept["kinds"]) == set(NAMES)
    assert all(
        one["tried"] == one["refused"] + one["accepted"] + one["failed"] + one["open"] for one in kept["kinds"].values()
    )
