"""Trains the shipped recipes and keeps what they reach: scripts/recipes.json, docs/benchmarks.md, README.md in short.

    python -m scripts.recipes --only cifar10_resnet --seeds 0 1 2

Each run is `python train.py experiment=NAME seed=SEED`. Data and weights come from the hub, or from the directories
below ATTNPRED_DATA; `--bert` names the encoder of the recipes that fine-tune one. Overrides change every run, to try
things out: then nothing is kept.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from attnpred.config import compose
from attnpred.config.options import Config
from attnpred.files import read_json
from scripts import launch, tables
from scripts.kept import keep, origin

RESULTS = Path(__file__).with_suffix(".json")
SHORT = "| recipe | test accuracy % | training time |\n|---|---|---|"
HEAD = "| recipe | test accuracy % | validation % | seeds | training time |\n|" + 5 * "---|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shipped = compose.group_options("experiment")
    parser.add_argument("--only", nargs="+", default=shipped, choices=shipped, metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bert", help="hub id or directory of the encoder to fine-tune")
    parser.add_argument("--at-once", type=int, default=1, help=launch.AT_ONCE)
    parser.add_argument("--output-dir", default="outputs/recipes")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    configs = {name: compose.compose([f"experiment={name}"]) for name in args.only}  # before threads begin
    asked = [(name, seed) for name in args.only for seed in args.seeds]
    results = launch.in_turn(lambda one: train(*one, configs[one[0]], args), asked, args.at_once)
    for name in args.only:
        runs = [next(results) for _ in args.seeds]
        measured = {
            **origin(),
            "at_once": args.at_once,
            "seeds": args.seeds,
            "metric": metric_of(configs[name]),
            "runs": runs,
        }
        print(line(name, measured), file=sys.stderr, flush=True)
        if not args.overrides:
            keep(RESULTS, name, measured, table)
            tables.put(summary(read_json(RESULTS)), "recipes", tables.README)


def train(name: str, seed: int, config: Config, args: argparse.Namespace) -> dict[str, Any]:
    """One run in a process of its own: what it reached, and how long that took."""
    overrides = [f"experiment={name}", f"seed={seed}", f"output_dir={args.output_dir}", *args.overrides]
    if args.bert and config.model.tokenizer_source() is not None:
        overrides.append(f"model.source={args.bert}")
    metric = metric_of(config)
    result = launch.train(overrides)
    return {
        "test": result["test"][metric],
        "validation": result["val"]["best"][metric],
        "seconds": result["seconds"],
        "steps": result["steps"],
    }


def metric_of(config: Config) -> str:
    """The one that a recipe chooses its checkpoint by."""
    return config.checkpoint.metric.removeprefix("val/")


def reached(measured: dict[str, Any], split: str) -> str:
    """Accuracy in percent; any other metric under its own name, BLEU being a percentage already."""
    metric = measured.get("metric", "accuracy")
    named, times, digits = ("", 100, 2) if metric == "accuracy" else (f"{metric} ", 1, 2 if metric == "bleu" else 4)
    return named + launch.spread([times * run[split] for run in measured["runs"]], digits)


def minutes(measured: dict[str, Any]) -> str:
    """Of runs that had the machine for themselves; of others nothing."""
    return f"{statistics.mean(r['seconds'] for r in measured['runs']) / 60:.1f} min" if measured["at_once"] == 1 else ""


def line(name: str, measured: dict[str, Any]) -> str:
    seeds = ", ".join(map(str, measured["seeds"]))
    test, validation = (reached(measured, split) for split in ("test", "validation"))
    return f"| `{name}` | {test} | {validation} | {seeds} | {minutes(measured)} |"


def summary(kept: dict[str, Any]) -> str:
    lines = [f"| `{name}` | {reached(one, 'test')} | {minutes(one)} |" for name, one in kept.items()]
    return "\n".join([SHORT, *lines])


def table(kept: dict[str, Any]) -> str:
    origins: dict[str, list[str]] = {}
    for name, measured in kept.items():
        others = "" if measured["at_once"] == 1 else f", {measured['at_once']} runs at once"
        origins.setdefault(f"{measured['machine']}{others}, {measured['date']}", []).append(f"`{name}`")
    notes = [f"{', '.join(names)}: {where}." for where, names in origins.items()]
    return "\n".join([HEAD, *(line(name, measured) for name, measured in kept.items()), "", *notes])


if __name__ == "__main__":
    main()
