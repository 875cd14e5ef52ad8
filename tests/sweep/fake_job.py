"""Stands in for a run: takes its command line, sleeps, writes the records that a sweep reads, and ends as it is told.

ATTNPRED_FAKE holds JSON: `log` (a line is added for every start and end), `seconds`, `fail` (a part of the overrides
that ends in failure), `code` (its exit code), `say` (on stderr), `overrides` (whether to note them), `curve` (values
to be measured one after another), `nan`.
"""

import json
import os
import sys
import time
from pathlib import Path

FAKE = json.loads(os.environ.get("ATTNPRED_FAKE", "{}"))


def main(arguments: list[str]) -> int:
    at = arguments.index("--run-dir")
    overrides, directory = arguments[1:at], Path(arguments[at + 1])
    note(f"start {directory}")
    if FAKE.get("say"):
        print(FAKE["say"], file=sys.stderr)
    if FAKE.get("overrides"):
        note(f"given {overrides}")
    given = dict(override.split("=", 1) for override in overrides)
    if FAKE.get("fail") and FAKE["fail"] in overrides:
        print("error: told to fail", file=sys.stderr)
        return FAKE.get("code", 2)
    status = "done"
    value = 1 - (float(given.get("optimizer.lr", 0.3)) - 0.3) ** 2
    for step in range(FAKE.get("curve", 0)):
        with (directory / "metrics.jsonl").open("a") as stream:
            stream.write(json.dumps({"step": step, "val/accuracy": value * step}) + "\n")
        time.sleep(FAKE.get("pause", 0))
        if (directory / "prune").exists():
            status = "pruned"
            break
    time.sleep(FAKE.get("seconds", 0))
    if status == "done":
        best = {"accuracy": float("nan") if FAKE.get("nan") in overrides else value, "loss": 1 - value}
        write(directory / "metrics.json", {"val": {"best": best}, "seconds": 1 + value})
    record = {
        "status": status,
        "environment": {k: os.environ.get(k) for k in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")},
    }
    write(directory / "run.json", record)
    note(f"end {directory}")
    return 0


def write(file: Path, content: object) -> None:
    """As runs do: whatever stands there under the name, a link too, is replaced."""
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(content))
    draft.replace(file)


def note(line: str) -> None:
    if "log" in FAKE:
        with Path(FAKE["log"]).open("a") as stream:
            stream.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
