"""What the recipes of several inputs and answers reach: scripts/several.json, docs/benchmarks.md.

    python -m scripts.several --only evidence_pair easy_vqa --seeds 0 1 2

`sick_both` is trained beside its two single tasks; `--bert` names the encoder, `--sick` a directory of the data. Of the
questions about images the text and the image are trained alone too. Overrides change every run: then nothing is kept.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnpred.data.builtin.evidence_pair import generate
from attnpred.explain.base import evidence_parts, look
from attnpred.explain.inputs import places
from attnpred.runs.run import Run
from scripts import launch
from scripts.kept import keep, origin

RESULTS = Path(__file__).with_suffix(".json")
SUBJECTS = ("sick_both", "easy_vqa", "evidence_pair")
TEXT = [
    "model=transformer",
    "data=texts",
    "data.text_column=question",
    "data.max_length=24",
    "model.width=64",
    "model.depth=1",
]
IMAGE = ["model=resnet_attention", "data=images", "data.image_column=image", "model.width=16", "model.depth=1"]
SPLITS = ["data.split_column=split", "data.group_column=image_id"]  # of easy-VQA
ROWS = "| recipe | on the test split | mean ± deviation | seeds |\n|---|---|---|---|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=SUBJECTS, choices=SUBJECTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bert", help="hub id or directory of the encoder of sick_both")
    parser.add_argument("--sick", help="directory of SICK, in the hub's layout")
    parser.add_argument("--output-dir", default="outputs/several")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    for name in args.only:
        measured: dict[str, list[float]] = {}
        for seed in args.seeds:
            for what, value in MEASURES[name](seed, args):
                measured.setdefault(what, []).append(value)
        for what, values in measured.items():
            print(f"{name}: {what}: {launch.spread(values, 4)}", flush=True)
        if not args.overrides:
            keep(RESULTS, name, {**origin(), "seeds": args.seeds, "measured": measured}, table)


def trained(words: list[str], seed: int, args: argparse.Namespace) -> dict[str, Any]:
    return launch.train([*words, f"seed={seed}", f"output_dir={args.output_dir}", *args.overrides])


def sick_both(seed: int, args: argparse.Namespace) -> Iterator[tuple[str, float]]:
    own = [*([f"model.source={args.bert}"] if args.bert else []), *([f"data.source={args.sick}"] if args.sick else [])]
    both = trained(["experiment=sick_both", *own], seed, args)
    yield "entailment, both", both["test"]["entailment/accuracy"]
    yield "relatedness, both", both["test"]["relatedness/pearson"]
    one = trained(["experiment=sick_entailment", *own], seed, args)
    yield "entailment, alone", one["test"]["accuracy"]
    other = trained(["experiment=sick_relatedness", *own], seed, args)
    yield "relatedness, alone", other["test"]["pearson"]
    yield "seconds of both over those of the two alone", both["seconds"] / (one["seconds"] + other["seconds"])


def easy_vqa(seed: int, args: argparse.Namespace) -> Iterator[tuple[str, float]]:
    yield "accuracy", trained(["experiment=easy_vqa"], seed, args)["test"]["accuracy"]
    yield from alone(["data.source=builtin:easy_vqa", *SPLITS], seed, args)


def evidence_pair(seed: int, args: argparse.Namespace) -> Iterator[tuple[str, float]]:
    result = trained(["experiment=evidence_pair"], seed, args)
    yield "accuracy", result["test"]["accuracy"]
    yield from by_kind(Run.find(result["run"]))
    yield from alone(["data.source=builtin:evidence_pair", "data.rows=50000"], seed, args)


def alone(data: list[str], seed: int, args: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """What the question alone and the image alone reach."""
    short = ["data.label_column=label", "optimizer.epochs=3"]
    yield "text alone", trained([*TEXT, *data, *short], seed, args)["test"]["accuracy"]
    yield "image alone", trained([*IMAGE, "data.size=32", *data, *short], seed, args)["test"]["accuracy"]


def by_kind(run: Run) -> Iterator[tuple[str, float]]:
    """Accuracy of questions about one shape and about two, and how often the own attention points at evidence."""
    config = run.config()
    about = np.array([row["about"] for row in generate(config.data.rows or 0)])
    model, task = run.load_model(), run.task()
    right: list[Any] = []
    pointed: list[Any] = []
    in_image: list[Any] = []
    rows: list[Any] = []
    with torch.no_grad():
        for batch in run.data(config).loader("test"):
            output, attention = look(model, batch, layers=False)
            evidence = evidence_parts(batch, attention.grids)
            assert evidence is not None
            image = places(batch, attention.grids)["image"]
            right.append(task.choose(output) == batch.targets["label"])
            for found, shares in ((pointed, attention.importance), (in_image, attention.importance * image)):
                found.append(evidence.gather(1, shares.argmax(1, keepdim=True))[:, 0])
            rows.append(batch.ids)
    kind = about[torch.cat(rows).numpy()]
    for name in ("one", "two"):
        mine = torch.from_numpy(kind == name)
        for what, found in (("accuracy", right), ("pointing", pointed), ("pointing in the image", in_image)):
            yield f"{what}, about {name}", float(torch.cat(found)[mine].float().mean())


def table(kept: dict[str, Any]) -> str:
    lines = [
        f"| `{name}` | {what} | {launch.spread(values, 4)} | {', '.join(map(str, one['seeds']))} |"
        for name, one in kept.items()
        for what, values in one["measured"].items()
    ]
    return "\n".join([ROWS, *lines])


MEASURES = {"sick_both": sick_both, "easy_vqa": easy_vqa, "evidence_pair": evidence_pair}
if __name__ == "__main__":
    main()
