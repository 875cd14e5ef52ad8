"""Runs the speed benchmarks, says what became slower since the last time, and writes the table of docs/benchmarks.md.

    python -m scripts.bench
    python -m scripts.bench --only start step_overhead --pairs 5

Slower means: by more than the noise of either measurement. Exits with 1 if something is, or if a benchmark failed.
"""

import sys
from pathlib import Path

from scripts import tables
from scripts.bench import harness, minilm_sst2, resnet_cifar10, results, start, step_overhead, transformer_imdb

BENCHMARKS = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (minilm_sst2, transformer_imdb, resnet_cifar10, step_overhead, start)
}
RESULTS = Path(__file__).parent / "results.json"


def main(arguments: list[str] | None = None, *, kept: Path = RESULTS, page: Path = tables.BENCHMARKS) -> int:
    parser = harness.parser(__doc__)
    names = list(BENCHMARKS)
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"run these alone: {', '.join(names)}"
    )
    args = parser.parse_args(arguments)
    troubles: list[str] = []
    for name in [name for name in BENCHMARKS if name in args.only]:
        benchmark = BENCHMARKS[name]
        try:
            rows = harness.measure(benchmark, harness.options_of(benchmark, args))
        except harness.SideFailed as error:
            troubles.append(f"failed: {error}")
            continue
        print(results.table(rows), file=sys.stderr)
        stored = results.load(kept)
        troubles += [f"slower: {line}" for line in results.falls(stored, rows)]
        # after each, so that an interruption loses one at most
        results.save(kept, results.merged(stored, rows, list(BENCHMARKS)))
    tables.put(results.table(results.load(kept)), "bench", page)
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
