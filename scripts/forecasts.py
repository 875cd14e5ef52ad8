"""Trains the forecasters of ETTh1 at several horizons: scripts/forecasts.json and the tables of docs/series.md.

    python -m scripts.forecasts --only etth1_linear --horizons 96 192 336 720 --seeds 0 1 2 data.source=ETTh1.csv

Each run is `python train.py experiment=NAME task.horizon=HORIZON seed=SEED`. A recipe's options were chosen on
validation; the test part is read once, at the end of a run. Overrides go to every run.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from scripts import launch
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULTS = Path(__file__).with_suffix(".json")
PAGE = DOCS / "series.md"
RECIPES = ("etth1_linear", "etth1_transformer", "etth1_lstm")
HORIZONS = (96, 192, 336, 720)
NAIVE = ("seasonal_naive", "naive", "drift")
# MSE and MAE of Nie et al. (2023), "A Time Series is Worth 64 Words", table 3
PUBLISHED = {
    "PatchTST/64, 512 hours": {96: (0.370, 0.400), 192: (0.413, 0.429), 336: (0.422, 0.440), 720: (0.447, 0.468)},
    "PatchTST/42, 336 hours": {96: (0.375, 0.399), 192: (0.414, 0.421), 336: (0.431, 0.436), 720: (0.449, 0.466)},
    "DLinear, 336 hours": {96: (0.375, 0.399), 192: (0.405, 0.416), 336: (0.439, 0.443), 720: (0.472, 0.490)},
}
MEASURED = ("mse", "mae", "mase", "coverage", *(f"{name}_{error}" for name in NAIVE for error in ("mse", "mae")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=RECIPES, choices=RECIPES, metavar="NAME")
    parser.add_argument("--horizons", type=int, nargs="+", default=HORIZONS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output-dir", default="outputs/forecasts")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    for name in args.only:
        for horizon in args.horizons:
            runs = [train(name, horizon, seed, args) for seed in args.seeds]
            keep(name, horizon, {**origin(), "seeds": args.seeds, "runs": runs})


def train(name: str, horizon: int, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One run in a process of its own: its errors, and how long it took."""
    own = [f"experiment={name}", f"task.horizon={horizon}", f"seed={seed}", f"output_dir={args.output_dir}"]
    result = launch.train([*own, *args.overrides])
    found = {key: result["test"][key] for key in MEASURED}
    scores = result.get("attention", {}).get("scores", {})
    trust = {who: measured["comprehensiveness"][0] for who, measured in scores.items()}
    best = result["val"]["best"]
    return {
        **found,
        "val_mse": best["mse"],
        "val_mae": best["mae"],
        "comprehensiveness": trust,
        "seconds": result["seconds"],
    }


def keep(name: str, horizon: int, measured: dict[str, Any]) -> None:
    known = read_json(RESULTS) if RESULTS.is_file() else {}
    known.setdefault(name, {})[str(horizon)] = measured
    write_json(RESULTS, known)
    put(tables(known), "forecasts", PAGE)


def tables(known: dict[str, Any]) -> str:
    """Errors of every forecaster by horizon, beside published ones; then what was measured where."""
    horizons = sorted({int(h) for found in known.values() for h in found})
    head = ["| MSE / MAE | " + " | ".join(map(str, horizons)) + " |", "|" + "---|" * (len(horizons) + 1)]
    rows = [_row(f"`{name}`", found, horizons, "mse", "mae") for name, found in known.items()]
    any_recipe: dict[str, Any] = {}
    for found in known.values():
        any_recipe = {**found, **any_recipe}
    rows += [_row(n.replace("_", " "), any_recipe, horizons, f"{n}_mse", f"{n}_mae", one=True) for n in NAIVE]
    for name, figures in PUBLISHED.items():
        cells = [f"{figures[h][0]:.3f} / {figures[h][1]:.3f}" if h in figures else "" for h in horizons]
        rows.append(f"| {name} (published) | {' | '.join(cells)} |")
    return "\n".join([*head, *rows, "", *_notes(known)])


def _row(title: str, found: dict[str, Any], horizons: list[int], mse: str, mae: str, one: bool = False) -> str:
    cells = []
    for horizon in map(str, horizons):
        runs = found.get(horizon, {}).get("runs", [])[: 1 if one else None]
        values = [launch.spread([run[key] for run in runs], 3) for key in (mse, mae)] if runs else []
        cells.append(" / ".join(values))
    return f"| {title} | {' | '.join(cells)} |"


def _notes(known: dict[str, Any]) -> list[str]:
    notes = []
    for name, found in known.items():
        for horizon, measured in found.items():
            runs = measured["runs"]
            minutes = statistics.mean(run["seconds"] for run in runs) / 60
            seeds = ", ".join(map(str, measured["seeds"]))
            notes.append(
                f"| `{name}` | {horizon} | {seeds} | {minutes:.1f} min | {measured['machine']}, {measured['date']} |"
            )
    head = ["| recipe | horizon | seeds | a run took | machine, date |", "|" + "---|" * 5]
    return [*head, *notes]


if __name__ == "__main__":
    main()
