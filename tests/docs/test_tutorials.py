"""The tutorials run from their first cell to their last; what is kept of them was made by such a run."""

import os
import sys
from pathlib import Path

import pytest

from tests.docs.prose import DOCS, REPOSITORY, too_long

TUTORIALS = sorted((DOCS / "tutorials").glob("*.ipynb"))
PATIENCE = 300  # seconds a cell

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")


def executed(path: Path, place: Path):
    """The notebook with the outputs of this run; raises where a cell fails."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(place)}}).execute()
    return notebook


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path: Path, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("HOME", str(tmp_path))
    told = {}
    for cell in executed(path, tmp_path).cells:
        if cell.cell_type == "code":
            told[cell.source] = "".join(str(output.get("text", output.get("data", ""))) for output in cell.outputs)
    for source, text in told.items():
        assert "Traceback" not in text, source
        assert "error: " not in text or "optimizer.epoch=3" in source, text  # a mistake that is shown on purpose


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_what_is_kept_is_whole_and_names_no_machine(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert path.stat().st_size < 200_000
    text = path.read_text(encoding="utf-8")
    assert "/root/" not in text
    assert "/home/" not in text
    assert "site-packages" not in text
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert too_long(cell.source) == []
