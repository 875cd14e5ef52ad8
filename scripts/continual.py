"""Tasks learned one after the other: five pairs of classes of CIFAR-10, and SST-2 before IMDb. Writes a table each.

    python -m scripts.continual --seeds 0 1 2

Every way goes on from the same first run. Joint training sees all tasks at once. Data lies below ATTNPRED_DATA. Of each
task a part is taken, so that all is done in half an hour on two cores. --try measures other options.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import attnpred
from scripts import launch
from scripts.machine import machine
from scripts.tables import DOCS, put

DATA = Path(os.environ.get("ATTNPRED_DATA", "data"))
RESULTS = Path(__file__).with_suffix(".json")
PAGE = DOCS / "continual.md"
KINDS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
COMMON = ["logger=none", "trainer.attention_examples=0", "checkpoint.select=last"]
WAYS = {
    "plain fine-tuning": [],
    "replay": ["continual.replay=500"],
    "EWC": ["continual.ewc=1000"],
    "distillation": ["continual.distillation=1"],
    "replay and distillation": ["continual.replay=500", "continual.distillation=1"],
}
TESTED = 1_000  # examples of each task
SUMS = ("average", "forgetting", "backward_transfer")


def keep(folder: Path, train: pa.Table, test: pa.Table) -> None:
    folder.mkdir(parents=True)
    for name, table in (("train", train), ("test", test)):
        pq.write_table(table.replace_schema_metadata(), folder / f"{name}.parquet")


def some(table: pa.Table, count: int, seed: int) -> pa.Table:
    import numpy as np

    return table.take(np.sort(np.random.default_rng(seed).permutation(len(table))[:count]))


def split(folder: Path, name: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(file) for file in sorted(folder.rglob(f"{name}-*.parquet")))


def images(place: Path, seed: int, rows: int) -> list[str]:
    """Five tasks of two classes each, and `joint`, below `place`; their names in order."""
    parts = {}
    for name in ("train", "test"):
        table = split(DATA / "cifar10", name)
        labels = pa.array([KINDS[number] for number in table["label"].to_pylist()])
        parts[name] = pa.table({"image": table["img"], "label": labels})
    names, chosen = [], []
    for first in range(0, 10, 2):
        two = pa.array(KINDS[first : first + 2])
        train, test = (parts[n].filter(pc.is_in(parts[n]["label"], two)) for n in ("train", "test"))
        names.append("-".join(KINDS[first : first + 2]))
        chosen.append((some(train, rows, seed), some(test, TESTED, seed)))
        keep(place / names[-1], *chosen[-1])
    keep(place / "joint", *map(pa.concat_tables, zip(*chosen, strict=True)))
    return names


def texts(place: Path, seed: int, rows: int) -> list[str]:
    sst2, imdb = DATA / "glue" / "sst2", DATA / "imdb"
    told = {0: "negative", 1: "positive"}
    tables = {}
    for name, folder, column, splits in (
        ("sst2", sst2, "sentence", ("train", "validation")),
        ("imdb", imdb, "text", ("train", "test")),
    ):
        train, test = (split(folder, one) for one in splits)
        tables[name] = [
            pa.table({"text": one[column], "label": pa.array([told[n] for n in one["label"].to_pylist()])})
            for one in (some(train, rows, seed), some(test, TESTED, seed))
        ]
        keep(place / name, *tables[name])
    keep(place / "joint", *map(pa.concat_tables, zip(*tables.values(), strict=True)))
    return list(tables)


Make = Callable[[Path, int, int], list[str]]
SHOWN: dict[str, tuple[Make, int, list[str]]] = {
    "CIFAR-10 in five pairs of classes": (
        images,
        4_000,
        [
            *("data=images", "data.image_column=image", "data.label_column=label", "data.test_split=test"),
            *("data.batch_size=64", "data.augment.crop=2", "data.augment.flip=true", "data.val_fraction=0.02"),
            *("optimizer=muon", "optimizer.epochs=2"),
        ],
    ),
    "SST-2, then IMDb": (
        texts,
        8_000,
        [
            *("data=texts", "data.text_column=text", "data.label_column=label", "data.test_split=test"),
            *("data.batch_size=64", "data.strip_html=true", "data.val_fraction=0.02", "data.max_length=128"),
            *("data.word_dropout=0.1", "optimizer.epochs=3", "trainer.clip_norm=null"),
        ],
    ),
}
FIRST = {
    "CIFAR-10 in five pairs of classes": ["model=resnet_attention", "model.width=16", "model.depth=1"],
    "SST-2, then IMDb": ["model=transformer", "model.depth=1", "model.ngrams=2", "model.dropout=0.2"],
}


def shown(name: str, seed: int, ways: dict[str, list[str]]) -> dict[str, Any]:
    """The results of every way, and of joint training, with one seed."""
    make, rows, options = SHOWN[name]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tasks = make(place, seed, rows)

        def train(task: str, *more: str) -> Any:
            given = [f"data.source={place / task}", f"data.name={task}", f"seed={seed}", f"output_dir={place / 'runs'}"]
            return attnpred.train(*given, *COMMON, *options, *more)

        first, found = train(tasks[0], *FIRST[name]), {}
        for way, asked in ways.items():
            run = first
            for task in tasks[1:]:
                run = train(task, f"continue_from={run.path}", *asked)
            told = json.loads((run.path / "metrics.json").read_text())["continual"]
            found[way] = {"rows": told["rows"], **{key: told[key] for key in SUMS}}
        joint = train("joint", *FIRST[name])
        row = [joint.evaluate(f"data.source={place / task}")["accuracy"] for task in tasks]
        found["joint training"] = {"rows": [row], "average": statistics.mean(row)}
    return found


def table(measured: list[dict[str, Any]]) -> str:
    lines = ["| | accuracy %, mean of tasks | on the first task | on the last task | forgetting | backward transfer |"]
    lines.append("|" + 6 * "---|")
    for way in measured[0]["found"]:
        each = [one["found"][way] for one in measured]
        cells = [[100 * one["average"] for one in each], *([100 * one["rows"][-1][i] for one in each] for i in (0, -1))]
        cells += [[100 * one[key] for one in each] for key in SUMS[1:] if key in each[0]]
        filled = [launch.spread(cell, 1) for cell in cells]
        lines.append(f"| {way} | {' | '.join([*filled, *['–'] * (5 - len(filled))])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=list(SHOWN), help="this alone")
    parser.add_argument("--try", dest="tried", nargs="+", metavar="OPTION=VALUE", help="ways of one option each, alone")
    args = parser.parse_args()
    ways = {option: [option] for option in args.tried} if args.tried else WAYS
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in [args.only] if args.only else SHOWN:
        measured = [{"seed": seed, "found": shown(name, seed, ways)} for seed in args.seeds]
        print(name, table(measured), sep="\n\n", flush=True)
        if not args.tried:
            results[name] = {"machine": machine(), "date": str(date.today()), "runs": measured}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if not args.tried:
        for name, one in results.items():
            seeds = ", ".join(str(run["seed"]) for run in one["runs"])
            put(f"{table(one['runs'])}\n\n{one['machine']}, {one['date']}, seeds {seeds}.", name, PAGE)


if __name__ == "__main__":
    main()
