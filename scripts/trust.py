"""Trains models with and without a loss on their attention, and measures how far that can be trusted.

    python -m scripts.trust --only sst2 --seeds 0 1 2

Each model is asked by `attnpred explain --protocol` about examples of its test split, by every explainer beside chance.
It is held against the same model of the next seed. FastSHAP is trained on each run first. The results are kept in
scripts/trust.json and shown in docs/benchmarks.md. Data comes from the hub, or from below ATTNPRED_DATA.
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
# the dearest last
EXPLAINERS = (
    *("attention", "fastshap", "occlusion", "integrated_gradients", "gradient_shap", "deep_lift", "input_x_gradient"),
    *("attnlrp", "grad_attention", "rollout", "attention_flow", "lime", "kernel_shap", "sampling_shapley", "beam"),
)
PICTURES = ("attention", "fastshap", "occlusion", "integrated_gradients", "gradient_shap", "deep_lift", "gradcam")
SCORES = {
    "racu": "RACU ↑",
    "insertion": "insertion ↑",
    "deletion": "deletion ↓",
    "comprehensiveness": "comprehensiveness ↑",
    "sufficiency": "sufficiency ↓",
    "f_fidelity": "F-Fidelity ↑",
    "racu_second": "RACU, other removal ↑",
    "rank_correlation": "leave-one-out ↑",
    "agreement": "two seeds ↑",
    "pointing": "pointing % ↑",
    "pointing_game": "pointing game ↑",
}


@dataclass(frozen=True)
class Setup:
    overrides: tuple[str, ...]
    loss: tuple[str, ...]  # what trains attention too
    explainers: tuple[str, ...] = EXPLAINERS
    fastshap: tuple[str, ...] = ()  # options of its training


MASKED = "task.seen_masked=0.5"
FAITHFUL = ("model.attention_loss=faithful", "model.attention_weight=0.5")
SETUPS = {
    "sst2": Setup(("experiment=sst2_transformer", MASKED), FAITHFUL),
    # for a shared machine: a short training, seed 0, asked with --seeds 0 --limit 100
    "sst2_short": Setup(
        ("experiment=sst2_transformer", MASKED, "optimizer.epochs=1", "trainer.max_steps=700"),
        FAITHFUL,
        ("attention", "fastshap", "occlusion", "integrated_gradients"),
        ("explainer.max_steps=200",),
    ),
    "sst2_minilm": Setup(("experiment=sst2_minilm", MASKED), FAITHFUL, fastshap=("explainer.epochs=1",)),
    "imdb": Setup(("experiment=imdb_transformer", MASKED), FAITHFUL),
    "imdb_minilm": Setup(("experiment=imdb_minilm", MASKED), FAITHFUL, fastshap=("explainer.epochs=1",)),
    "cifar10": Setup(("experiment=cifar10_resnet", MASKED), FAITHFUL, PICTURES),
    "cifar10_vit": Setup(("experiment=cifar10_vit", MASKED), FAITHFUL, (*PICTURES[:-1], "grad_attention")),
    "evidence_text": Setup(("experiment=evidence_text", "model.attention_loss=null"), FAITHFUL),
    "evidence_image": Setup(("model=resnet_attention", "data=evidence_image", MASKED), FAITHFUL, PICTURES),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(SETUPS), choices=list(SETUPS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=500, help="examples that are explained")
    parser.add_argument("--explainers", nargs="+", default=[], metavar="NAME", help="these alone")
    parser.add_argument("--split", default="test", choices=["val", "test"], help="settings are chosen on val")
    parser.add_argument("--output-dir", default="outputs/trust")
    parser.add_argument("overrides", nargs="*", help="to try things out: then nothing is kept")
    args = parser.parse_args()
    for name in args.only:
        setup = SETUPS[name]
        told = {"setup": " ".join(setup.overrides), "loss": " ".join(setup.loss)}
        measured: dict[str, Any] = {**origin(), "seeds": args.seeds, **told}
        names = args.explainers or setup.explainers
        for trained, loss in (("plain", ()), ("trained", setup.loss)):
            chosen = [*setup.overrides, *loss, f"output_dir={args.output_dir}", *args.overrides]
            runs = [launch.train([*chosen, f"seed={seed}"]) for seed in args.seeds]
            twins = [*runs[1:], runs[0]] if len(runs) > 1 else [None]
            measured[trained] = [
                measure(run, twin, names, setup.fastshap, args.limit, args.split)
                for run, twin in zip(runs, twins, strict=True)
            ]
        print(table({name: measured}), file=sys.stderr, flush=True)
        if not args.overrides and args.split == "test":
            keep(RESULTS, name, measured, table)


def measure(
    result: dict[str, Any],
    twin: dict[str, Any] | None,
    names: tuple[str, ...],
    fastshap: tuple[str, ...],
    limit: int,
    split: str,
) -> dict[str, Any]:
    """What one run reached, and what its explanations are worth."""
    program = [sys.executable, "-m", "attnpred"]
    if "fastshap" in names:
        training = ["train", "explainer=fastshap", f"explainer.run={result['run']}", *fastshap]
        subprocess.run([*program, *training], stdout=subprocess.PIPE, check=True)
    flags = [flag for name in names for flag in ("--explainer", name)]
    flags += ["--protocol", *([] if twin is None else ["--twin", twin["run"]])]
    command = [*program, "explain", result["run"], "--split", split, "--limit", str(limit)]
    told = subprocess.run([*command, *flags, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    story = json.loads(told.stdout)
    found = story["faithfulness"]
    return {
        "accuracy": result["test"]["accuracy"],
        "seconds": result["seconds"],
        "measuring": result["attention_seconds"] / result["seconds"],
        "scores": found["scores"],
        "cascade": found.get("cascade", {}),
        "milliseconds": {e["name"]: e["milliseconds"] for e in story["explainers"]},
    }


def table(kept: dict[str, Any]) -> str:
    scores = [s for s in SCORES if any(s in column for m in kept.values() for column in columns(m))]
    head = ["model", "its attention is", "accuracy %", "explained by", *(SCORES[s] for s in scores), "forgets", "ms"]
    lines = ["| " + " | ".join(head) + " |", "|" + len(head) * "---|"]
    for name, measured in kept.items():
        for trained, how in (("plain", "not trained for itself"), ("trained", measured["loss"])):
            if trained not in measured:
                continue
            runs = measured[trained]
            lines += [row(name, how, runs, explainer, scores, first=not i) for i, explainer in enumerate(asked(runs))]
    notes = [note(name, measured) for name, measured in kept.items()]
    return "\n".join([*lines, "", *notes])


def columns(measured: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        column
        for trained in ("plain", "trained")
        if trained in measured
        for column in measured[trained][0]["scores"].values()
    ]


def asked(runs: list[dict[str, Any]]) -> list[str]:
    """The explainers that were measured, chance last."""
    return sorted(runs[0]["scores"], key=lambda name: (name == "random", list(runs[0]["scores"]).index(name)))


def note(name: str, measured: dict[str, Any]) -> str:
    share = max(run["measuring"] for run in measured["trained"])
    cost = f"measuring its attention took {share:.1%} of the training time at most; " if share else ""
    seeds = ", ".join(map(str, measured["seeds"]))
    return f"`{name}`: `{measured['setup']}`; seeds {seeds}; {cost}{measured['machine']}, {measured['date']}."


def row(name: str, how: str, runs: list[dict[str, Any]], explainer: str, scores: list[str], *, first: bool) -> str:
    cells = [f"`{name}`" if first else "", how if first else ""]
    cells += [launch.spread([100 * run["accuracy"] for run in runs]) if first else "", explainer.replace("_", " ")]
    for score in scores:
        values = [run["scores"][explainer][score][0] for run in runs if score in run["scores"][explainer]]
        times = 100 if score == "pointing" else 1
        cells.append(launch.spread([times * value for value in values], 1 if times == 100 else 3) if values else "")
    fallen = [run["cascade"][explainer][-1] for run in runs if explainer in run.get("cascade", {})]
    cells.append(launch.spread(fallen) if fallen else "")
    cost = [run["milliseconds"][explainer] for run in runs if explainer in run["milliseconds"]]
    cells.append(f"{float(f'{sum(cost) / len(cost):.2g}'):g}" if cost else "")
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
