"""Holds what runs are said to take of memory against what they took, and writes docs/memory.md's table.

    python -m scripts.memory --bert DIRECTORY --json docs/memory.json

Real data comes from the hub, or from the directories below ATTNPRED_DATA, and is left out unless `--real` is given;
`--bert` names the encoder to fine-tune, without which none is.
"""

import argparse
import json
import sys
import tempfile
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

from scripts import launch, tables
from scripts.machine import machine

PAGE = tables.DOCS / "memory.md"
BUILT_IN = [
    ("resnet_attention", "digits"),
    ("resnet_attention", "evidence_image"),
    ("transformer", "digits"),
    ("transformer", "evidence_image"),
    ("transformer", "evidence_text"),
    ("bert", "evidence_text"),
]
REAL = [("resnet_attention", "cifar10"), ("transformer", "imdb"), ("bert", "sst2"), ("bert", "sick")]
SIZES = {"digits": (64, 512), "evidence_image": (16, 128), "evidence_text": (32, 512)}
USUAL = (32, 128)  # of other data
FORMATS = ("32-true", "bf16-mixed")
STEPS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bert", help="hub id or directory of the encoder")
    parser.add_argument("--real", action="store_true", help="real data too")
    parser.add_argument("--only", nargs="+", default=[], metavar="MODEL-DATA", help="run these pairs alone")
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("overrides", nargs="*", help="further overrides for every run")
    args = parser.parse_args()
    rows = []
    for model, data in [*BUILT_IN, *(REAL if args.real else ())]:
        if (args.only and f"{model}-{data}" not in args.only) or (model == "bert" and args.bert is None):
            continue
        for size, precision in product(SIZES.get(data, USUAL), FORMATS):
            rows.append(measured(model, data, size, precision, args))
            print(line(rows[-1]), file=sys.stderr, flush=True)
    tables.put(table(rows), "memory", PAGE)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "date": str(date.today()), "rows": rows}, indent=2))


def measured(model: str, data: str, size: int, precision: str, args: argparse.Namespace) -> dict[str, Any]:
    """One short run in a process of its own; what it said and what it took, in GiB."""
    overrides = [f"model={model}", f"data={data}", f"data.batch_size={size}", f"trainer.precision={precision}"]
    overrides += [f"trainer.max_steps={STEPS}", f"trainer.limit_batches={STEPS}", "logger=none", *args.overrides]
    overrides += [f"model.source={args.bert}"] if model == "bert" else []
    with tempfile.TemporaryDirectory() as place:
        result = launch.train([*overrides, f"output_dir={place}"])
    said, taken = result["estimated_memory_gib"], result["peak_memory_gib"]
    return {"model": model, "data": data, "batch": size, "precision": precision, "said": said, "taken": taken}


def line(row: dict[str, Any]) -> str:
    named = " | ".join(str(row[name]) for name in ("model", "data", "batch", "precision"))
    off = 100 * (row["said"] / row["taken"] - 1)
    return f"| {named} | {row['said']:.2f} | {row['taken']:.2f} | {off:+.0f} % |"


def table(rows: list[dict[str, Any]]) -> str:
    head = "| model | data | batch | format | said, GiB | taken, GiB | off by |\n|" + 7 * "---|"
    worst = max(abs(row["said"] / row["taken"] - 1) for row in rows)
    end = f"{len(rows)} runs of {STEPS} steps, one seed each; the worst is {100 * worst:.0f} % off."
    return "\n".join([head, *map(line, rows), "", f"{end} {machine()}, {date.today()}."])


if __name__ == "__main__":
    main()
