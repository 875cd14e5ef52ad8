"""What scripts that train by command do alike."""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any


def train(overrides: list[str]) -> dict[str, Any]:
    """One run in a process of its own: its `metrics.json`, and its directory as `run`."""
    command = [sys.executable, "-m", "attnpred", "train", *overrides]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    run = Path(finished.stdout.splitlines()[-1])
    return {"run": str(run), **json.loads((run / "metrics.json").read_text(encoding="utf-8"))}


def spread(values: list[float], digits: int = 2) -> str:
    """Mean, and deviation where there are several."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"
