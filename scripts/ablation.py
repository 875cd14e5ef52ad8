"""What each feature of CIFAR-10's recipe adds or costs: scripts/ablation.json and a table in the README.

    python -m scripts.ablation --seeds 0 1
    python -m scripts.ablation --seeds 0 1 -- model.width=16 model.later_width=64 optimizer.epochs=4

The recipe is trained as it is, then with one thing changed at a time, all from the same seeds, and compared on
validation images. Overrides change every run, for machines on which the recipe takes too long: the table names them.
`--only` measures some changes anew, in the setting of the others.
"""

import argparse
import statistics
import sys
from datetime import date
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from scripts import launch
from scripts.machine import machine
from scripts.readme import put

RESULTS = Path(__file__).with_suffix(".json")
RECIPE = "the recipe"
CHANGES: dict[str, tuple[str, ...]] = {
    RECIPE: (),
    "mean, not pooling by attention": ("model.pooling=mean",),
    "self-attention after the last stage": ("model.attention=self",),
    "gates on channels (se)": ("model.attention=se",),
    "gates on channels and places (cbam)": ("model.attention=cbam",),
    "attention trained to be faithful": ("model.attention_loss=faithful",),
    "SGD, not Muon": ("optimizer=sgd",),
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
    setting = {"seeds": args.seeds, "overrides": args.overrides, "machine": machine()}
    kept: dict[str, Any] = {**setting, "runs": {}}
    if args.only is not None and RESULTS.is_file():
        kept = read_json(RESULTS)
        if {name: kept[name] for name in setting} != setting:
            parser.error(f"{RESULTS.name} holds numbers of another setting: measure all changes, without --only")
    for change in args.only or CHANGES:
        chosen = ["experiment=cifar10_resnet", *args.overrides, *CHANGES[change], f"output_dir={args.output_dir}"]
        runs = [measure([*chosen, f"seed={seed}"]) for seed in args.seeds]
        kept = {**kept, "date": str(date.today()), "runs": {**kept["runs"], change: runs}}
        write_json(RESULTS, kept)
        if RECIPE in kept["runs"]:
            put(table(kept), "ablation")
        print(f"{change}: {launch.spread([100 * run['accuracy'] for run in runs])}", file=sys.stderr, flush=True)


def measure(overrides: list[str]) -> dict[str, float]:
    result = launch.train(overrides)
    return {"accuracy": result["val"]["best"]["accuracy"], "seconds": result["seconds"]}


def table(kept: dict[str, Any]) -> str:
    base = kept["runs"][RECIPE]
    lines = ["| | | validation accuracy % | difference | training time |", "|" + 5 * "---|"]
    for change, overrides in CHANGES.items():
        if change in kept["runs"]:
            lines.append(row(change, overrides, kept["runs"][change], base))
    seeds = ", ".join(map(str, kept["seeds"]))
    given = f"With `{' '.join(kept['overrides'])}`; seeds" if kept["overrides"] else "Seeds"
    return "\n".join([*lines, "", f"{given} {seeds}; {kept['machine']}, {kept['date']}."])


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
