"""Trains every sensible pair of model and dataset and prints a Markdown table of accuracy, time and throughput.

    python -m scripts.pairs --seeds 0 1 2 --json pairs.json

Real data comes from the hub, or from the directories below ATTNPRED_DATA; `--bert` names the encoder to fine-tune.
"""

import argparse
import json
import statistics
import sys
from datetime import date
from pathlib import Path
from typing import Any

from scripts import launch
from scripts.machine import machine

PAIRS = [
    ("resnet_attention", "digits"),
    ("transformer", "digits"),
    ("resnet_attention", "cifar10"),
    ("transformer", "cifar10"),
    ("transformer", "imdb"),
    ("transformer", "sst2"),
    ("bert", "imdb"),
    ("bert", "sst2"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="MODEL-DATA", help="run these pairs alone")
    parser.add_argument("--bert", default="bert-base-uncased", help="hub id or directory of the encoder")
    parser.add_argument("--output-dir", default="outputs/pairs")
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("overrides", nargs="*", help="further overrides for every run")
    args = parser.parse_args()
    rows = []
    for model, data in PAIRS:
        if args.only and f"{model}-{data}" not in args.only:
            continue
        results = [train(model, data, seed, args) for seed in args.seeds]
        rows.append({"model": model, "data": data, "seeds": args.seeds, "results": results})
        print(row(rows[-1]), file=sys.stderr, flush=True)
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "date": str(date.today()), "rows": rows}, indent=2))


def train(model: str, data: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One run in a process of its own; its `metrics.json`."""
    overrides = [f"model={model}", f"data={data}", f"seed={seed}", f"output_dir={args.output_dir}", *args.overrides]
    if model == "bert":
        overrides.append(f"model.source={args.bert}")
    return launch.train(overrides)


def row(measured: dict[str, Any]) -> str:
    results = measured["results"]
    accuracies = [100 * r["test"]["accuracy"] for r in results]
    seconds = statistics.mean(r["seconds"] for r in results)
    rate = statistics.mean(r["examples_per_second"] for r in results)
    return (
        f"| {measured['model']} | {measured['data']} | {launch.spread(accuracies)} | {len(results)} "
        f"| {results[0]['steps']:,} | {seconds:,.0f} s | {rate:,.0f} |"
    )


def table(rows: list[dict[str, Any]]) -> str:
    head = "| model | data | test accuracy % | seeds | steps | training time | examples/s |\n|" + 7 * "---|"
    return "\n".join([head, *map(row, rows), "", f"{machine()}, {date.today()}."])


if __name__ == "__main__":
    main()
