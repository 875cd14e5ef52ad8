"""How many windows a second training takes, beside neuralforecast's, in turns in one run.

    python -m scripts.forecast_speed ETTh1.csv --rounds 5

Both train the same network on the same windows: the linear map (NLinear there; one map of all variables, the last value
taken out and given back) and the transformer on patches (PatchTST there), in float32, with the same number of windows
in a step. neuralforecast's batches are of series, each with a number of windows; here a window holds all variables, so
that 7 of its windows are one of ours, and both are counted as windows of one variable. Seconds are those of the
processor, which others on the machine do not lengthen. neuralforecast must be installed beside.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from attnpred.config import compose
from attnpred.data import columns
from attnpred.files import read_json, write_json
from scripts.kept import origin

VARIABLES = 7
STEPS = 60
WINDOWS = 32 * VARIABLES  # of one variable in a step
NETWORKS = {
    "linear": ["model=linear", "model.norm=last"],
    "transformer": [
        *("model=transformer", "model.width=16", "model.depth=3", "model.heads=4", "model.mlp_ratio=8"),
        *("model.patch=16", "model.stride=8", "model.positions=learned", "model.dropout=0.2"),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="ETTh1.csv")
    parser.add_argument("--only", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--cache-dir", type=Path, default=Path.home() / ".cache" / "attnpred")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = Path(__file__).with_suffix(".json")
    found: dict[str, Any] = read_json(results) if results.is_file() else {}
    for name in args.only:
        ratios = []
        for _ in range(args.rounds):
            own = ours(NETWORKS[name], args.file, args.steps, args.cache_dir)
            other = theirs(name, args.file, args.steps)
            ratios.append(own / other)
            print(f"{name}: {own:,.0f} windows/s, neuralforecast {other:,.0f}", file=sys.stderr, flush=True)
        found[name] = {**origin(), "steps": args.steps, "windows": WINDOWS, "ratios": ratios}
        write_json(results, found)
        print(f"{name}: {statistics.median(ratios):.2f} times as many windows a second")


def ours(words: list[str], file: str, steps: int, cache_dir: Path) -> float:
    """Windows of one variable a second, in training by the library's own loader and loss."""
    from attnpred.training.fit import prepare

    given = [*words, "data=etth1", f"data.source={file}", f"data.cache_dir={cache_dir}", "data.batch_size=32"]
    config = compose.compose(given)
    config = replace(config, data=columns.settled(config.data, config.task.reads))
    data, learner = prepare(config)
    loader = data.loader("train")
    optimizer = torch.optim.Adam(learner.model.parameters(), lr=1e-3)

    def run(count: int) -> None:
        for batch, _ in zip(loader, range(count), strict=False):
            optimizer.zero_grad()
            learner.step(batch).backward()
            optimizer.step()
        learner.steps.clear()

    run(5)
    started = time.process_time()
    run(steps)
    return steps * WINDOWS / (time.process_time() - started)


def theirs(name: str, file: str, steps: int) -> float:
    """The same of neuralforecast, from two trainings of which one is longer: what each begins with is left out."""
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.models import NLinear, PatchTST

    table = pd.read_csv(file)[:8640]
    table["date"] = pd.to_datetime(table["date"])
    long = table.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})

    def seconds(count: int) -> float:
        quiet: dict[str, Any] = {
            "logger": False,
            "enable_progress_bar": False,
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "accelerator": "cpu",
        }
        alike = {"h": 96, "input_size": 336, "max_steps": count, "scaler_type": "identity", **quiet}
        alike |= {"batch_size": VARIABLES, "windows_batch_size": WINDOWS, "val_check_steps": 10**6}
        if name == "linear":
            model: Any = NLinear(**alike)
        else:
            sizes = {"hidden_size": 16, "encoder_layers": 3, "n_heads": 4, "linear_hidden_size": 128}
            model = PatchTST(**alike, **sizes, patch_len=16, stride=8, dropout=0.2)
        forecaster = NeuralForecast(models=[model], freq="h")
        started = time.process_time()
        forecaster.fit(long)
        return time.process_time() - started

    return steps * WINDOWS / (seconds(steps + 5) - seconds(5))


if __name__ == "__main__":
    main()
