"""What each feature of CIFAR-10's recipe adds or costs: scripts/ablation.json and a table in docs/benchmarks.md.

    python -m scripts.ablation --seeds 0 1
    python -m scripts.ablation --steps 10

The recipe is trained as it is, then with one thing changed at a time, all from the same seeds, and compared on
validation images. `--steps` asks for times alone: so many steps of each of two epochs, one of small images and one of
whole ones, of what is known already, on this machine and one after another, three times in turn, of which the fastest
counts: others use the machine too. Overrides change every run, for machines on which the recipe takes too long: the
table names them. `--only` measures some changes anew; shown are those of the recipe's own setting.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from attnpred.files import read_json
from scripts import launch
from scripts.kept import keep, origin

RESULTS = Path(__file__).with_suffix(".json")
# enough images to tell half a point; how far attention can be trusted is not asked here
BASE = ("experiment=cifar10_resnet", "data.val_fraction=0.1", "trainer.attention_examples=0")
RECIPE = "the recipe"
CHANGES: dict[str, tuple[str, ...]] = {
    RECIPE: (),
    "mean, not pooling by attention": ("model.pooling=mean",),
    "self-attention after the last stage": ("model.attention=self",),
    "gates on channels (se)": ("model.attention=se",),
    "gates on channels and places (cbam)": ("model.attention=cbam",),
    "no path around convolutions": ("model.around=false",),
    "one convolution behind a stage's first, no path": ("model.depth=1", "model.around=false"),
    "norms of kernels not held": ("optimizer.hold_norm=false",),
    # momentum and warm-up as SGD's own file has them; its rate, for batches four times as large
    "SGD, not Muon": (
        "optimizer=sgd",
        "optimizer.hold_norm=false",
        "optimizer.momentum=0.9",
        "optimizer.warmup=0.15",
        "optimizer.lr=0.2",
    ),
    "labels not smoothed": ("task.label_smoothing=0",),
    "images not mirrored": ("data.augment.flip=false",),
    "images not moved": ("data.augment.crop=0",),
    "images never smaller": ("data.augment.small_share=0", "data.augment.small_side=null"),
    "two views when answering": ("data.test_flip=true",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), metavar="CHANGE", default=list(CHANGES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--at-once", type=int, default=1, help=launch.AT_ONCE)
    parser.add_argument("--steps", type=int, help="how many to time of each size of images, and nothing else")
    parser.add_argument("--output-dir", default="outputs/ablation")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    if args.steps is None:
        compare(args)
    else:
        time_alone(args)


def compare(args: argparse.Namespace) -> None:
    asked = [(change, seed) for change in args.only for seed in args.seeds]
    results = launch.in_turn(
        lambda one: train(one[0], [*args.overrides, f"seed={one[1]}"], args.output_dir), asked, args.at_once
    )
    for change in args.only:
        runs = [next(results) for _ in args.seeds]
        accuracies = [run["val"]["best"]["accuracy"] for run in runs]
        measured = {**origin(), "seeds": args.seeds, "overrides": args.overrides, "accuracies": accuracies}
        mean = statistics.mean(run["examples_per_second"] for run in runs)
        measured["speed"] = speed(mean) if args.at_once == 1 else None
        print(f"{change}: {launch.spread([100 * accuracy for accuracy in accuracies])}", file=sys.stderr, flush=True)
        keep(RESULTS, change, measured, table)


def time_alone(args: argparse.Namespace) -> None:
    known = {change: measured for change, measured in read_json(RESULTS).items() if change in args.only}
    short = ("optimizer.epochs=2", f"trainer.limit_batches={args.steps}")
    rates = dict.fromkeys(known, 0.0)
    for _ in range(3):
        for change, measured in known.items():
            result = train(change, [*measured["overrides"], *short], args.output_dir)
            rates[change] = max(rates[change], result["examples_per_second"])
    for change, measured in known.items():
        keep(RESULTS, change, {**measured, "speed": speed(rates[change])}, table)


def train(change: str, overrides: list[str], output_dir: str) -> dict[str, Any]:
    """One run; the change comes behind the overrides of all, which must not undo it."""
    return launch.train([*BASE, *overrides, *CHANGES[change], f"output_dir={output_dir}"])


def speed(rate: float) -> dict[str, Any]:
    return {**origin(), "examples_per_second": rate}


def table(kept: dict[str, Any]) -> str:
    """The changes that were measured in the recipe's own setting; differences from another one say nothing."""
    base = kept.get(RECIPE)
    if base is None:
        return f"(`{RECIPE}` itself is not measured)"
    setting = ("machine", "seeds", "overrides")
    alike = [c for c in CHANGES if c in kept and all(kept[c][name] == base[name] for name in setting)]
    heads = ["", "", "validation accuracy %", "difference"] + ["training time"] * (base["speed"] is not None)
    lines = ["| " + " | ".join(heads) + " |", "|" + len(heads) * "---|"]
    lines += [row(change, kept[change], base) for change in alike]
    seeds = ", ".join(map(str, base["seeds"]))
    given = f"With `{' '.join(base['overrides'])}`; seeds" if base["overrides"] else "Seeds"
    notes = [f"{given} {seeds}; {base['machine']}, {days([kept[change] for change in alike])}."]
    if base["speed"] is not None:
        timed = [kept[change]["speed"] for change in alike if comparable(kept[change], base)]
        notes.append(f"Times: {base['speed']['machine']}, {days(timed)}.")
    return "\n".join([*lines, "", *notes])


def row(change: str, measured: dict[str, Any], base: dict[str, Any]) -> str:
    cells = [change, " ".join(f"`{override}`" for override in CHANGES[change])]
    cells.append(launch.spread([100 * accuracy for accuracy in measured["accuracies"]]))
    if change == RECIPE:
        cells.append("")
    else:
        # seed by seed: what a seed gives both sides is not the change's doing
        pairs = zip(measured["accuracies"], base["accuracies"], strict=True)
        apart = [100 * (accuracy - other) for accuracy, other in pairs]
        cells.append(f"{'+' if statistics.mean(apart) >= 0 else ''}{launch.spread(apart)}")
    if base["speed"] is not None:
        timed = change != RECIPE and comparable(measured, base)
        cells.append(f"{rate(base) / rate(measured):.2f} x" if timed else "")
    return "| " + " | ".join(cells) + " |"


def rate(measured: dict[str, Any]) -> float:
    found: float = measured["speed"]["examples_per_second"]
    return found


def comparable(measured: dict[str, Any], base: dict[str, Any]) -> bool:
    """Whether a change was timed where the recipe was, whose times are known."""
    timed = measured["speed"]
    return timed is not None and bool(timed["machine"] == base["speed"]["machine"])


def days(measured: list[dict[str, Any]]) -> str:
    dates = {one["date"] for one in measured}
    return " to ".join(sorted({min(dates), max(dates)}))


if __name__ == "__main__":
    main()
