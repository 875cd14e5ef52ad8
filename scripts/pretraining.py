"""A transformer that learns from hidden words first, against the same one from scratch, on labels of IMDb.

    python -m scripts.pretraining --seeds 0 1 2
    python -m scripts.pretraining --labelled 1000 --seeds 0 --pretrain trainer.max_steps=800

Two stages: `experiment=imdb_masked`, once, and `experiment=imdb_pretrained` from its run, for every seed. `--labelled`
keeps so many labels; the scratch recipe is trained on the same ones. Data lies below ATTNPRED_DATA.
"""

import argparse
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from scripts import launch
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULTS = Path(__file__).with_suffix(".json")
PAGE = DOCS / "pretraining.md"
HEAD = "| labels | from scratch % | from hidden words % | seeds | pre-training |\n|" + 5 * "---|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--labelled", type=int, help="labels that are kept; all where it is left out")
    parser.add_argument("--begin-from", help="a run of imdb_masked; without it one is trained")
    parser.add_argument("--pretrain", nargs="*", default=[], help="overrides of the first stage")
    parser.add_argument("--output-dir", default="outputs/pretraining")
    parser.add_argument("overrides", nargs="*", help="of the second stage, and of the recipe from scratch")
    args = parser.parse_args()
    where = [f"output_dir={args.output_dir}"]
    if args.begin_from is None:
        first = launch.train(["experiment=imdb_masked", *where, *args.pretrain])
    else:
        first = {"run": args.begin_from, **read_json(Path(args.begin_from) / "metrics.json")}
    runs = [point(seed, first["run"], [*where, *args.overrides], args.labelled) for seed in args.seeds]
    measured = {
        **origin(),
        "labels": args.labelled,
        "seeds": args.seeds,
        "overrides": args.overrides,
        "pretraining": {key: first[key] for key in ("steps", "seconds", "tokens_per_second")}
        | {key: first["test"][key] for key in ("perplexity", "accuracy")},
        "runs": runs,
    }
    known = read_json(RESULTS) if RESULTS.is_file() else {}
    kept = {**known, str(args.labelled or "all"): measured}
    write_json(RESULTS, kept)
    put(table(kept), "pretraining", PAGE)


def point(seed: int, begun: str, words: list[str], labelled: int | None) -> dict[str, float]:
    few = [] if labelled is None else [f"data.labelled={labelled}", f"data.labelled_seed={seed}"]
    given = [f"seed={seed}", *few, *words]
    scratch = launch.train(["experiment=imdb_transformer", *given])
    tuned = launch.train(["experiment=imdb_pretrained", f"model.init_from={begun}", *given])
    return {"scratch": scratch["test"]["accuracy"], "pretrained": tuned["test"]["accuracy"]}


def table(kept: dict[str, Any]) -> str:
    lines = [HEAD]
    for labels, one in kept.items():
        cells = [launch.spread([100 * run[way] for run in one["runs"]]) for way in ("scratch", "pretrained")]
        before = one["pretraining"]
        tokens = before["seconds"] * before["tokens_per_second"] / 1e6
        told = f"{before['steps']:,} steps, {tokens:.1f} M tokens, perplexity {before['perplexity']:.0f}"
        lines.append(f"| {labels} | {' | '.join(cells)} | {', '.join(map(str, one['seeds']))} | {told} |")
    notes = dict.fromkeys(note(one) for one in kept.values())
    return "\n".join([*lines, "", *notes])


def note(one: dict[str, Any]) -> str:
    changed = f", with `{' '.join(one['overrides'])}`" if one["overrides"] else ""
    return f"{one['machine']}, {one['date']}{changed}."


if __name__ == "__main__":
    main()
