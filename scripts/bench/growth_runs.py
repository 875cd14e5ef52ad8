"""A point of whole runs, by the command: on several processes, and as jobs of a sweep."""

import json
import subprocess
import sys
from pathlib import Path

from scripts.bench import timing
from scripts.bench.harness import ROOT

TRIVIAL = ["data=digits", "trainer.max_steps=1", "trainer.limit_batches=1"]


def processes(directory: str, *, processes: int, epochs: int) -> dict[str, float]:
    """The default experiment, by the run's own account."""
    overrides = ["trainer=ddp_cpu", f"trainer.devices={processes}", f"trainer.max_epochs={epochs}"]
    run = Path(printed([*overrides, f"output_dir={directory}"])[-1])
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {name: metrics[name] for name in ("examples_per_second", "seconds", "steps")}


def sweep(directory: str, *, jobs: int) -> dict[str, float]:
    """A sweep and, right after it, one of its jobs as a run of its own."""
    overrides = [*TRIVIAL, f"output_dir={directory}"]
    printed(overrides)  # brings files into memory
    start = timing.now()
    printed(["-m", *overrides, f"seed={','.join(map(str, range(jobs)))}"])
    middle = timing.now()
    printed([*overrides, "seed=0"])
    return {"job_seconds": (middle - start) / jobs, "single_seconds": timing.now() - middle}


def printed(overrides: list[str]) -> list[str]:
    """The lines that `python train.py` prints to stdout."""
    command = [sys.executable, "train.py", *overrides]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return finished.stdout.splitlines()
