"""Rows a second of `attnpred predict --file` beside evaluation of the same rows, in turns.

    python -m scripts.table_speed RUN TABLE:COLUMN --rounds 3

Evaluation reads prepared tokens or pixels from the cache; a table is read, prepared, answered and written. Processor
time is told
beside time by the clock. Prints JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attnpred.inference.batch_prediction import Asked, predict_table
from attnpred.inference.evaluate import evaluate
from attnpred.runs.run import Run
from scripts.kept import origin


def timed(work: Callable[[], int]) -> dict[str, float]:
    clock, processor = time.perf_counter(), time.process_time()
    rows = work()
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return {"rows_per_second": rows / clock, "rows_per_processor_second": rows / processor}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("table", metavar="TABLE:COLUMN")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    run, (file, _, column) = Run.find(args.run), args.table.rpartition(":")
    config = run.config()

    def answered(attention: bool) -> int:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "answers.parquet"
            return predict_table(run, config, Asked(Path(file), out, [column], attention=attention))

    def evaluated() -> int:
        return int(evaluate(run, config, "test", run.task())["examples"])

    works: dict[str, Callable[[], int]] = {
        "evaluate": evaluated,
        "predict --file --no-attention": lambda: answered(False),
        "predict --file": lambda: answered(True),
    }
    found: dict[str, Any] = {name: [] for name in works}
    for turn in range(args.rounds + 1):  # the first warms up, and fills the cache
        for name, work in works.items():
            measured = timed(work)
            if turn:
                found[name].append(measured)
    medians = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    print(json.dumps({**origin(), **medians}, indent=1))


if __name__ == "__main__":
    main()
