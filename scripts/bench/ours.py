"""Our side: what the commands do, by the functions behind them, and the rows that both sides read."""

import json
import math
import tempfile
from dataclasses import replace
from typing import Any

import numpy as np

from attnpred.config import compose, schema
from attnpred.config.options import Config
from attnpred.data.open_source import open_source
from attnpred.data.splits import Split, rows_of, source_split
from attnpred.inference.evaluate import evaluate
from attnpred.inference.predict import predict
from attnpred.machine.process_setup import settle
from attnpred.runs.run import Run
from attnpred.training.train import launch
from scripts.bench import timing
from scripts.bench.harness import Options

# A run ends with a test, which is not timed here
LITTLE_TEST = ["data.test_split=null", "data.test_fraction=1e-3"]
CHUNK = 2000  # rows in memory at once


def composed(overrides: list[str]) -> Config:
    """The config of `train`, for a peer that reads the same rows."""
    return compose.compose([*overrides, *LITTLE_TEST])


def train(overrides: list[str], *, warmup: int, steps: int, directory: str, log_every: int | None = None) -> Run:
    """A launch of warmup + steps steps, which logs at either end of the steps that count."""
    settle()
    overrides = [
        *overrides,
        *LITTLE_TEST,
        f"output_dir={directory}",
        f"trainer.max_steps={warmup + steps}",
        f"trainer.log_every_steps={log_every or math.gcd(warmup, steps)}",
    ]
    return launch(compose.compose(overrides), overrides)


def seconds_a_step(run: Run, *, warmup: int, steps: int) -> float:
    """By the time that stands beside what was logged at step `warmup` and at the last: all that happens between."""
    text = (run.path / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    if any(warmup <= line["step"] < warmup + steps and "val/loss" in line for line in lines):
        raise SystemExit(f"--steps {steps}: a validation fell among them; take less than an epoch")
    times = {line["step"]: line["time"] for line in lines if "train/loss" in line}
    return float(times[warmup + steps] - times[warmup]) / steps


def training_rate(run: Run, *, warmup: int, steps: int) -> float:
    return run.config().data.batch_size / seconds_a_step(run, warmup=warmup, steps=steps)


def evaluation_rate(run: Run, count: int, total: int) -> float:
    """On `count` of the validation split's `total` rows."""
    config = run.config()

    def work(examples: int) -> None:
        # a smaller share, not fewer batches: those would be the shortest texts
        data = replace(config.data, val_fraction=config.data.val_fraction * examples / total)
        assert evaluate(run, replace(config, data=data), "val", run.task())["examples"] == examples

    return timing.rate(work, count)


def prediction_rate(run: Run, inputs: list[str]) -> float:
    """Labels, probabilities and attention of raw inputs."""
    config = run.config()

    def work(examples: int) -> None:
        assert sum(1 for _ in predict(run, config, inputs[:examples])) == examples

    return timing.rate(work, len(inputs))


def text_side(overrides: list[str], options: Options) -> dict[str, float]:
    """Trains on texts, evaluates and predicts."""
    window = {"warmup": options.warmup, "steps": options.steps}
    with tempfile.TemporaryDirectory() as directory:
        run = train(overrides, **window, directory=directory)
        inputs, _ = texts(run.config().data, "val")
        chosen = inputs[: options.examples]
        return {
            "training": training_rate(run, **window),
            "evaluation": evaluation_rate(run, len(chosen), len(inputs)),
            "prediction": prediction_rate(run, chosen),
        }


def texts(config: Any, split: Split) -> tuple[list[str], list[int]]:
    """The raw texts of a split, and their labels, in the source's order."""
    name, option = source_split(config, split)
    columns = {"data.text_column": config.text_column, "data.label_column": config.label_column}
    found: list[str] = []
    labels: list[int] = []
    for chunk in open_source(config).chunks(name, option, columns, CHUNK):
        found += chunk[0]
        labels += chunk[1]
    rows = rows_of(config, split, np.array(labels))
    return [found[row] for row in rows], [labels[row] for row in rows]


def prepared(config: Config) -> Any:
    """The dataset as a launch prepares it."""
    target = schema.load(config.task._target_).target(config.task, *config.target_columns())
    return schema.load(config.data._target_)(config.data, target, tokenizer_source=config.model.tokenizer_source())
