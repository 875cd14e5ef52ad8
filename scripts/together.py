"""Launches many runs at once on one cache: each has a directory of its own, and all share one preparation.

    python -m scripts.together --launches 20

Says what is not as it should be, and ends with exit code 1 where anything is.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from attnpred.data.cache import damage

SMALL = ["data=evidence_text", "model=transformer", "data.rows=2000", "trainer.max_steps=5", "logger=none"]
TINY = ["model.width=16", "model.depth=1", "model.heads=2", "trainer.attention_examples=0", "data.batch_size=16"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=20)
    count: int = parser.parse_args().launches
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        command = [sys.executable, "-m", "attnpred", "train", *SMALL, *TINY]
        command += [f"output_dir={place / 'outputs'}", f"data.cache_dir={place / 'cache'}"]
        quiet: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        children = [subprocess.Popen(command, **quiet) for _ in range(count)]
        said = [child.communicate(timeout=1800) for child in children]
        wrong = [f"exit code {child.returncode}" for child in children if child.returncode]
        wrong += checked(place, [out.splitlines()[-1] for out, _ in said if out], [err for _, err in said])
    print("; ".join(wrong) or f"{count} launches at once: {count} run directories, one preparation, nothing damaged")
    return 1 if wrong else 0


def checked(place: Path, runs: list[str], said: list[str]) -> list[str]:
    """What is not as it should be."""
    found = [f"{run}: given twice" for run, times in Counter(runs).items() if times > 1]
    ended = [json.loads((Path(run) / "run.json").read_text(encoding="utf-8"))["status"] for run in runs]
    found += [f"a run is {status}" for status in ended if status != "done"]
    if len(list((place / "outputs").glob("*/*"))) != len(said):
        found.append("there are other directories than those of the launches")
    prepared = Counter(line for err in said for line in err.splitlines() if line.startswith("preparing "))
    found += [f"{times} times: {line}" for line, times in prepared.items() if times > 1]
    entries = [path for path in (place / "cache").iterdir() if path.is_dir()]
    found += [f"{path.name}: {damage(path)}" for path in entries if ".part-" in path.name or damage(path) is not None]
    return found


if __name__ == "__main__":
    sys.exit(main())
