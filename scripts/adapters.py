"""Adapters against full fine-tuning on part of SST-2: accuracy, trained parameters, memory and time.

    python -m scripts.adapters --bert sentence-transformers/all-MiniLM-L6-v2 --labelled 4000 --seeds 0 1 2

The rate of each is the best on validation of those named here, chosen by --choose with seed 0. Data lies below
ATTNPRED_DATA. Times and memory say something on a machine that does nothing else.
"""

import argparse
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from scripts import launch
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULTS = Path(__file__).with_suffix(".json")
PAGE = DOCS / "adapters.md"
HEAD = "| trained | test accuracy % | validation % | trained parameters | memory | time |\n|" + 6 * "---|"
WAYS: dict[str, list[str]] = {
    "all weights": ["optimizer.lr=2e-4", "optimizer.layer_decay=0.9"],
    "head alone": ["optimizer.lr=5e-3", "model.frozen=[encoder]"],
    "lora": ["optimizer.lr=1e-3", "model.lora_rank=8"],
    "adalora": ["optimizer.lr=2e-3", "model.adapter=adalora", "model.adapter_size=8"],
    "ia3": ["optimizer.lr=1e-2", "model.adapter=ia3"],
    "bottleneck": ["optimizer.lr=2e-3", "model.adapter=bottleneck", "model.adapter_size=32"],
    "prompt": ["optimizer.lr=1e-2", "model.adapter=prompt", "model.adapter_size=8"],
}
RATES = (0.5, 1.0, 2.0)  # times those above, that --choose tries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bert", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--labelled", type=int, default=4000)
    parser.add_argument("--choose", action="store_true", help="try rates on validation first")
    parser.add_argument("--output-dir", default="outputs/adapters")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    for way in args.only:
        rate = best_rate(way, args) if args.choose else rate_of(way)
        runs = [train(way, rate, seed, args) for seed in args.seeds]
        known = read_json(RESULTS) if RESULTS.is_file() else {}
        measured = {**origin(), "seeds": args.seeds, "labelled": args.labelled, "rate": rate, "runs": runs}
        kept = {**known, way: {**measured, "overrides": args.overrides}}
        write_json(RESULTS, kept)
        put(table({name: kept[name] for name in WAYS if name in kept}), "adapters", PAGE)


def rate_of(way: str) -> float:
    return float(WAYS[way][0].partition("=")[2])


def best_rate(way: str, args: argparse.Namespace) -> float:
    rates = [times * rate_of(way) for times in RATES]
    return max(rates, key=lambda rate: train(way, rate, 0, args)["validation"])


def train(way: str, rate: float, seed: int, args: argparse.Namespace) -> dict[str, float]:
    found = launch.train(
        [
            *("experiment=sst2_minilm", f"model.source={args.bert}", f"data.labelled={args.labelled}"),
            *(f"seed={seed}", f"output_dir={args.output_dir}", "optimizer.layer_decay=1.0", "optimizer.ema=null"),
            *WAYS[way][1:],
            f"optimizer.lr={rate}",
            *args.overrides,
        ]
    )
    return {
        "test": found["test"]["accuracy"],
        "validation": found["val"]["best"]["accuracy"],
        "parameters": trained_parameters(Path(found["run"])),
        "memory": found["peak_memory_gib"],
        "seconds": found["seconds"],
    }


def trained_parameters(run: Path) -> int:
    from attnpred.runs.run import Run

    model = Run(run).load_model()
    model.freeze(model.config.frozen_levels, model.config.frozen)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def table(kept: dict[str, Any]) -> str:
    lines = [HEAD]
    for way, one in kept.items():
        runs = one["runs"]
        accuracies = [launch.spread([100 * run[split] for run in runs]) for split in ("test", "validation")]
        memory, seconds = (sum(run[key] for run in runs) / len(runs) for key in ("memory", "seconds"))
        cells = [*accuracies, f"{runs[0]['parameters']:,}", f"{memory:.1f} GiB", f"{seconds / 60:.1f} min"]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    notes = dict.fromkeys(note(one) for one in kept.values())
    return "\n".join([*lines, "", *notes])


def note(one: dict[str, Any]) -> str:
    seeds = ", ".join(map(str, one["seeds"]))
    changed = f", with `{' '.join(one['overrides'])}`" if one["overrides"] else ""
    return f"MiniLM on {one['labelled']:,} labels, seeds {seeds}{changed}; {one['machine']}, {one['date']}."


if __name__ == "__main__":
    main()
