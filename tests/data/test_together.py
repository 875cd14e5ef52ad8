"""Twenty launches at once on one machine and one cache; `scripts.together` does it with whole trainings."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from attnpred.data.cache import damage

pytestmark = pytest.mark.slow

COUNT = 20
# one process that imports once, and is then twenty which all begin at the same moment
LAUNCHES = f"""
import multiprocessing, os, sys
import sklearn.datasets, torchvision.transforms.v2
from attnpred import data, models, tasks
from attnpred.config import compose
from attnpred.modalities.image import data
from attnpred.models import resnet_attention
from attnpred.runs.run import Run
from attnpred.tasks import classification
from attnpred.training.fit import prepare

def launch(barrier, place):
    config = compose.compose(
        ["data=digits", "model.width=8", f"output_dir={{place}}/outputs", f"data.cache_dir={{place}}/cache"]
    )
    barrier.wait()
    prepare(config)
    run = Run.create(config, [])
    with run.held():
        run.finish("done")
    os.write(1, f"{{run.path}}\\n".encode())  # as one piece: print may write the line's end on its own

fork = multiprocessing.get_context("fork")
barrier = fork.Barrier({COUNT})
children = [fork.Process(target=launch, args=(barrier, sys.argv[1])) for _ in range({COUNT})]
for child in children:
    child.start()
for child in children:
    child.join()
sys.exit(any(child.exitcode for child in children))
"""


def test_each_has_a_directory_and_all_share_one_preparation(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LAUNCHES, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    runs = {Path(run) for run in ended.stdout.splitlines()}
    assert len(runs) == COUNT
    assert set((tmp_path / "outputs").glob("*/*")) == runs
    assert {json.loads((run / "run.json").read_text())["status"] for run in runs} == {"done"}
    prepared = Counter(line for line in ended.stderr.splitlines() if line.startswith("preparing "))
    assert any("split train of builtin:digits" in line for line in prepared)
    assert set(prepared.values()) == {1}
    entries = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert entries
    assert [path.name for path in entries if ".part-" in path.name or damage(path) is not None] == []
