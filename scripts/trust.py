"""Trains models with and without a loss on their attention, and measures how far that can be trusted.

    python -m scripts.trust --only sst2 --seeds 0 1 2

Each model is asked by `attnpred explain` about examples of its test split, beside integrated gradients and chance. The
results are kept in scripts/trust.json and shown in docs/benchmarks.md. Data comes from the hub, or from below
ATTNPRED_DATA.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import launch
from scripts.kept import keep, origin

RESULTS = Path(__file__).with_suffix(".json")
EXPLAINERS = ("attention", "integrated_gradients")
SCORES = {"comprehensiveness": "comprehensiveness ↑", "insertion": "insertion ↑", "pointing": "pointing % ↑"}


@dataclass(frozen=True)
class Setup:
    overrides: tuple[str, ...]
    loss: tuple[str, ...]  # what trains attention too


SETUPS = {
    "sst2": Setup(
        ("experiment=sst2_transformer",),
        ("model.attention_loss=faithful", "model.attention_weight=0.5"),
    ),
    # smaller and shorter than the recipe, so that three seeds take half an hour on two cores without bf16
    "cifar10": Setup(
        (
            *("experiment=cifar10_resnet", "optimizer.epochs=2"),
            *("model.width=16", "model.later_width=64", "model.depth=1", "model.around=false"),
        ),
        ("model.attention_loss=faithful", "model.attention_weight=0.5"),
    ),
    "evidence_text": Setup(
        ("model=transformer", "model.depth=2", "data=evidence_text", "optimizer.epochs=2"),
        ("model.attention_loss=supervised",),
    ),
    "evidence_image": Setup(
        ("model=resnet_attention", "data=evidence_image", "optimizer.epochs=2"), ("model.attention_loss=supervised",)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(SETUPS), choices=list(SETUPS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=500, help="examples that are explained")
    parser.add_argument("--output-dir", default="outputs/trust")
    parser.add_argument("overrides", nargs="*", help="to try things out: then nothing is kept")
    args = parser.parse_args()
    for name in args.only:
        measured: dict[str, Any] = {**origin(), "seeds": args.seeds}
        for trained, loss in (("plain", ()), ("trained", SETUPS[name].loss)):
            chosen = [*SETUPS[name].overrides, *loss, f"output_dir={args.output_dir}", *args.overrides]
            measured[trained] = [measure([*chosen, f"seed={seed}"], args.limit) for seed in args.seeds]
        print(table({name: measured}), file=sys.stderr, flush=True)
        if not args.overrides:
            keep(RESULTS, name, measured, table)


def measure(overrides: list[str], limit: int) -> dict[str, Any]:
    """One run: what it reached, and what its explanations are worth."""
    result = launch.train(overrides)
    flags = [flag for name in EXPLAINERS for flag in ("--explainer", name)]
    command = [sys.executable, "-m", "attnpred", "explain", result["run"], "--split", "test", "--limit", str(limit)]
    told = subprocess.run([*command, *flags, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    story = json.loads(told.stdout)
    return {
        "accuracy": result["test"]["accuracy"],
        "seconds": result["seconds"],
        "measuring": result["attention_seconds"] / result["seconds"],
        "scores": story["faithfulness"]["scores"],
        "milliseconds": {e["name"]: e["milliseconds"] for e in story["explainers"]},
    }


def table(kept: dict[str, Any]) -> str:
    scores = [s for s in SCORES if any(s in m["plain"][0]["scores"]["random"] for m in kept.values())]
    head = ["model", "its attention is", "accuracy %", "explained by", *(SCORES[s] for s in scores), "ms an example"]
    lines = ["| " + " | ".join(head) + " |", "|" + len(head) * "---|"]
    for name, measured in kept.items():
        for trained, how in (("plain", "not trained for itself"), ("trained", " ".join(SETUPS[name].loss))):
            lines += [row(name, how, measured[trained], explainer, scores) for explainer in (*EXPLAINERS, "random")]
    notes = [note(name, measured) for name, measured in kept.items()]
    return "\n".join([*lines, "", *notes])


def note(name: str, measured: dict[str, Any]) -> str:
    share = max(run["measuring"] for run in measured["trained"])
    return (
        f"`{name}`: seeds {', '.join(map(str, measured['seeds']))}; measuring its attention took {share:.1%} of the "
        f"training time at most; {measured['machine']}, {measured['date']}."
    )


def row(name: str, how: str, runs: list[dict[str, Any]], explainer: str, scores: list[str]) -> str:
    first = explainer == EXPLAINERS[0]
    cells = [f"`{name}`" if first else "", how if first else ""]
    cells += [launch.spread([100 * run["accuracy"] for run in runs]) if first else "", explainer.replace("_", " ")]
    for score in scores:
        values = [run["scores"][explainer][score][0] for run in runs if score in run["scores"][explainer]]
        times = 100 if score == "pointing" else 1
        cells.append(launch.spread([times * value for value in values], 1 if times == 100 else 3) if values else "")
    cost = [run["milliseconds"][explainer] for run in runs] if explainer in EXPLAINERS else []
    cells.append(f"{float(f'{sum(cost) / len(cost):.2g}'):g}" if cost else "")
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
