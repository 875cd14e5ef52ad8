"""Trains beside busy processes, and compares the speed with the share of the machine that is fair.

    python -m scripts.shared_cores --steps 60

Beside `busy` processes of one thread each, one of `busy + 1` programs may take 1 / (busy + 1) of the machine. Each
round trains with `trainer.threads=auto`, and with a thread for each core. Writes `scripts/shared_cores.json` and the
table of `docs/training.md`. Data of the recipe comes from the hub, or from below ATTNPRED_DATA.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from attnpred.machine import processes, threads
from scripts.kept import origin
from scripts.tables import DOCS, ROOT, put

RESULT = Path(__file__).with_suffix(".json")
PAGE = DOCS / "training.md"
RECIPES = {
    "digits": ["data=digits", "trainer.max_epochs=1000"],
    "sst2_transformer": ["experiment=sst2_transformer"],
}
BUSY = (0, 1, 2, 4)
MOST = 1.5  # times the fair share's time that training may take


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that compute and never wait."""
    command = processes.guarded([sys.executable, "-I", "-S", "-c", "while True: sum(range(10_000))"])
    started = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def rate(recipe: list[str], place: Path, number: int | str, steps: int) -> float:
    """Examples a second of training."""
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    given = [f"trainer.threads={number}", f"trainer.max_steps={steps}", "trainer.attention_examples=0", "logger=csv"]
    given += [f"output_dir={place}/{number}", f"data.cache_dir={place}/cache"]
    subprocess.run([sys.executable, "train.py", *recipe, *given], cwd=ROOT, env=own, check=True, capture_output=True)
    (file,) = (place / str(number)).glob("*/*/metrics.json")
    found = float(read_json(file)["examples_per_second"])
    file.unlink()
    return found


def measured(recipe: list[str], steps: int) -> list[dict[str, Any]]:
    """Rates beside each number of busy processes, and how many times the fair share's time they take."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        rate(recipe, place, "auto", 2)  # prepares the data
        for count in BUSY:
            with busy(count):
                auto, all_cores = (rate(recipe, place, number, steps) for number in ("auto", threads.cores()))
            print(f"beside {count}: {auto:,.0f} examples/s, with a thread a core {all_cores:,.0f}", file=sys.stderr)
            alone = rows[0]["auto"] if rows else auto
            fair = alone / (count + 1)
            rows.append(
                {"busy": count, "auto": auto, "all": all_cores, "times": fair / auto, "times_all": fair / all_cores}
            )
    return rows


def table(kept: dict[str, Any]) -> str:
    cells = [
        "",
        "busy processes",
        "examples/s, `auto`",
        "a thread a core",
        "time ÷ fair share's, `auto`",
        "a thread a core",
    ]
    lines = [f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"]
    for name, rows in kept["recipes"].items():
        for row in rows:
            figures = f"{row['auto']:,.0f} | {row['all']:,.0f} | {row['times']:.2f} | {row['times_all']:.2f}"
            lines.append(f"| {name} | {row['busy']} | {figures} |")
    return "\n".join(lines) + f"\n\nOne run each; {kept['machine']}, {kept['date']}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    rates = {name: measured(RECIPES[name], args.steps) for name in args.only}
    kept = {"recipes": rates, **origin()}
    write_json(RESULT, kept)
    put(table(kept), "shared_cores", PAGE)
    late = [row for rows in rates.values() for row in rows if row["times"] > MOST]
    sys.exit(f"slower than {MOST} times the fair share: {late}" if late else 0)


if __name__ == "__main__":
    main()
