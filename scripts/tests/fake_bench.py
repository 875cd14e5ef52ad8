"""A benchmark of two sides that measure nothing, for the tests of what runs sides."""

import os
import sys
from pathlib import Path

from scripts.bench import harness
from scripts.bench.harness import Benchmark, Comparison, Options

LOG = "FAKE_BENCH_LOG"  # names the file that tells who ran


def ours(options: Options) -> dict[str, float]:
    noted("ours")
    print("libraries print what they like")
    return {"rate": 10.0 * options.steps, "on_a_terminal": float(sys.stderr.isatty())}


def peer(options: Options) -> dict[str, float]:
    noted("peer")
    if options.bert == "missing":
        raise SystemExit("no encoder to fine-tune")
    return {"rate": 4.0 * options.steps}


def noted(side: str) -> None:
    with Path(os.environ[LOG]).open("a") as log:
        log.write(side + "\n")


BENCHMARK = Benchmark(
    module="scripts.tests.fake_bench",
    sides={"ours": ours, "peer": peer},
    comparisons=(
        Comparison("work", "a peer", "ours/rate", "peer/rate", target=2.0),
        Comparison("a terminal", "a peer", "ours/on_a_terminal", "peer/rate", unit="s", difference=True),
    ),
    defaults=Options(pairs=2, steps=7),
)

if __name__ == "__main__":
    harness.main(BENCHMARK, __doc__)
