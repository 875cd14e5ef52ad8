"""Accuracy against the number of labels, on IMDb and CIFAR-10, with and without the rows that have none.

    python -m scripts.few_labels --only imdb --seeds 0 1 2
    python -m scripts.few_labels --only cifar10

Every run takes about as many steps. The teacher of pseudo-labels is the run on the same labels alone. Which labels
there are follows from the seed. Data lies below ATTNPRED_DATA.
"""

import argparse
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import attnpred
from scripts import launch
from scripts.machine import machine
from scripts.tables import DOCS, put

DATA = Path(os.environ.get("ATTNPRED_DATA", "data"))
RESULTS = Path(__file__).with_suffix(".json")
PAGE = DOCS / "few-labels.md"
COMMON = ["logger=none", "trainer.attention_examples=0", "checkpoint.select=last", "data.val_fraction=0.1"]
ALL = 0  # of the labels
COUNTS = (100, 400, 1_600, 6_400, ALL)
ROWS = {"imdb": 22_500, "cifar10": 45_000}  # of train, less validation
SHOWN: dict[str, tuple[int, int, list[str]]] = {  # steps, examples of one, and options
    "imdb": (
        400,
        32,
        [
            *("model=transformer", "model.depth=1", "model.ngrams=2", "model.dropout=0.3", "data=imdb"),
            *("data.max_length=192", "data.word_dropout=0.2", "trainer.clip_norm=null"),
        ],
    ),
    "cifar10": (
        600,
        64,
        ["model=resnet_attention", "model.width=32", "model.depth=1", "data=cifar10", "data.augment.crop=2"],
    ),
}
ALONE, TAUGHT, HELD = "labels alone", "and a teacher's labels", "and consistency"


def train(name: str, count: int, seed: int, rows: int, args: argparse.Namespace, *more: str) -> Any:
    steps, batch, options = SHOWN[name]
    epochs = max(round(args.steps_share * steps * batch / rows), 1)
    few = [] if count == ALL else [f"data.labelled={count}", f"data.labelled_seed={seed}"]
    given = [f"data.source={DATA / name}", f"seed={seed}", f"output_dir={args.output_dir}", *few]
    return attnpred.train(
        *given, *COMMON, *options, f"data.batch_size={batch}", f"optimizer.epochs={epochs}", *args.overrides, *more
    )


def point(name: str, count: int, seed: int, args: argparse.Namespace) -> dict[str, float]:
    """The accuracies on the test split of every way with so many labels."""
    alone = train(name, count, seed, count or ROWS[name], args)
    runs = {ALONE: alone}
    if count != ALL:
        taught = f"self_training.teacher={alone.path}"
        runs[TAUGHT] = train(name, count, seed, ROWS[name], args, taught, f"self_training.threshold={args.threshold}")
        runs[HELD] = train(name, count, seed, count, args, "self_training.consistency=1", "self_training.threshold=0.8")
    return {way: accuracy(run) for way, run in runs.items()}


def accuracy(run: Any) -> float:
    found: float = json.loads((run.path / "metrics.json").read_text())["test"]["accuracy"]
    return found


def table(points: list[dict[str, Any]]) -> str:
    counts = list(dict.fromkeys(one["labels"] for one in points))
    lines = [f"| labels | {' | '.join((ALONE, TAUGHT, HELD))} |", "|" + 4 * "---|"]
    for count in counts:
        found = [one["accuracy"] for one in points if one["labels"] == count]
        cells = [
            launch.spread([100 * one[way] for one in found], 1) if way in found[0] else "–"
            for way in (ALONE, TAUGHT, HELD)
        ]
        lines.append(f"| {'all' if count == ALL else f'{count:,}'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=list(SHOWN), help="this dataset alone")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="labels; 0 is all")
    parser.add_argument("--threshold", type=float, default=0.9, help="how sure a teacher must be")
    parser.add_argument("--steps-share", type=float, default=1.0, help="train this share of the steps")
    parser.add_argument("--output-dir", default="outputs/few_labels")
    parser.add_argument("overrides", nargs="*", help="further overrides for every run")
    args = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in [args.only] if args.only else SHOWN:
        points = []
        for seed in args.seeds:  # what is there when time is up has whole seeds
            points += [
                {"labels": count, "seed": seed, "accuracy": point(name, count, seed, args)} for count in args.counts
            ]
            results[name] = {"machine": machine(), "date": str(date.today()), "points": points}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(name, table(points), sep="\n\n", flush=True)
    for name, one in results.items():
        seeds = ", ".join(str(seed) for seed in dict.fromkeys(p["seed"] for p in one["points"]))
        put(f"{table(one['points'])}\n\n{one['machine']}, {one['date']}, seeds {seeds}.", name, PAGE)


if __name__ == "__main__":
    main()
