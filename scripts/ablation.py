"""What each feature of CIFAR-10's recipe adds or costs: scripts/ablation.json and a table in the README.

    python -m scripts.ablation --seeds 0 1
    python -m scripts.ablation --seeds 0 1 -- model.width=16 model.later_width=64 optimizer.epochs=4

The recipe is trained as it is, then with one thing changed at a time, all from the same seeds, and compared on
validation images. Overrides change every run, for machines on which the recipe takes too long: the table names them.
`--only` measures some changes anew; shown are those of the recipe's own setting.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from scripts import launch
from scripts.kept import keep, origin

RESULTS = Path(__file__).with_suffix(".json")
BASE = ("experiment=cifar10_resnet", "data.val_fraction=0.1")  # enough images to tell half a point
RECIPE = "the recipe"
CHANGES: dict[str, tuple[str, ...]] = {
    RECIPE: (),
    "mean, not pooling by attention": ("model.pooling=mean",),
    "self-attention after the last stage": ("model.attention=self",),
    "gates on channels (se)": ("model.attention=se",),
    "gates on channels and places (cbam)": ("model.attention=cbam",),
    "attention trained to be faithful": ("model.attention_loss=faithful",),
    "a rate three times as high": ("optimizer.lr=2e-2",),
    "SGD, not Muon": ("optimizer=sgd", "optimizer.lr=1"),
    "weights not averaged": ("optimizer.ema=null",),
    "labels not smoothed": ("task.label_smoothing=0",),
    "images not mirrored": ("data.augment.flip=false",),
    "images not moved": ("data.augment.crop=0",),
    "holes of 8 pixels": ("data.augment.cutout=8",),
    "mixup": ("data.augment.mixup=0.2",),
    "cutmix": ("data.augment.cutmix=1",),
    "two views when answering": ("data.test_flip=true",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), metavar="CHANGE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--output-dir", default="outputs/ablation")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    for change in args.only or CHANGES:
        chosen = [*BASE, *args.overrides, *CHANGES[change], f"output_dir={args.output_dir}"]
        runs = [measure([*chosen, f"seed={seed}"]) for seed in args.seeds]
        measured = {**origin(), "seeds": args.seeds, "overrides": args.overrides, "runs": runs}
        print(f"{change}: {launch.spread([100 * run['accuracy'] for run in runs])}", file=sys.stderr, flush=True)
        keep(RESULTS, change, measured, table)


def measure(overrides: list[str]) -> dict[str, float]:
    result = launch.train(overrides)
    return {"accuracy": result["val"]["best"]["accuracy"], "seconds": result["seconds"]}


def table(kept: dict[str, Any]) -> str:
    """The changes that were measured in the recipe's own setting; differences from another one say nothing."""
    base = kept.get(RECIPE)
    if base is None:
        return f"(`{RECIPE}` itself is not measured)"
    setting = ("machine", "seeds", "overrides")
    alike = [c for c in CHANGES if c in kept and all(kept[c][name] == base[name] for name in setting)]
    lines = ["| | | validation accuracy % | difference | training time |", "|" + 5 * "---|"]
    lines += [row(change, CHANGES[change], kept[change]["runs"], base["runs"]) for change in alike]
    seeds = ", ".join(map(str, base["seeds"]))
    given = f"With `{' '.join(base['overrides'])}`; seeds" if base["overrides"] else "Seeds"
    dates = {kept[change]["date"] for change in alike}
    days = " to ".join(sorted({min(dates), max(dates)}))
    return "\n".join([*lines, "", f"{given} {seeds}; {base['machine']}, {days}."])


def row(change: str, overrides: tuple[str, ...], runs: list[dict[str, float]], base: list[dict[str, float]]) -> str:
    cells = [change, " ".join(f"`{override}`" for override in overrides)]
    cells.append(launch.spread([100 * run["accuracy"] for run in runs]))
    if change == RECIPE:
        cells += ["", f"{statistics.mean(run['seconds'] for run in base) / 60:.1f} min"]
    else:
        # seed by seed: what a seed gives both sides is not the change's doing
        apart = [100 * (run["accuracy"] - other["accuracy"]) for run, other in zip(runs, base, strict=True)]
        times = statistics.mean(run["seconds"] / other["seconds"] for run, other in zip(runs, base, strict=True))
        cells += [f"{'+' if statistics.mean(apart) >= 0 else ''}{launch.spread(apart)}", f"{times:.2f} x"]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
