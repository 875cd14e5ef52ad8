"""Answers and attention for new input, from a run directory alone."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch

from attnpred.config.options import Config
from attnpred.errors import BadInput
from attnpred.explain.base import make
from attnpred.machine.device import choose
from attnpred.models.views import answered
from attnpred.runs.run import Run


def predict(run: Run, config: Config, inputs: Iterable[str], explainer: str | None = None) -> Iterator[dict[str, Any]]:
    """One plain description an input, in the order given, as soon as it and those before it are done.

    Where an input cannot be read, those before it are described, and then BadInput is raised. With the name of an
    `explainer` its map of the answer takes the place of the model's own attention.
    """
    reader: Any = run.reader()
    chosen = choose(config.trainer)
    task = run.task()
    model = run.load_model().for_inference().to(chosen.device_type)
    chosen_one = None if explainer is None else make(explainer, model, task)
    done: dict[int, dict[str, Any]] = {}
    turn = 0
    bad: list[BadInput] = []
    for reading in reader.readings(_until_bad(inputs, bad), config.data.eval_batch_size):
        with torch.inference_mode(), chosen.autocast():
            batch = reading.batch.to(chosen.device_type)
            output = answered(model, batch, mirror=config.data.mirrors(), need_attention=True)
        attention = output.attention
        if chosen_one is not None:
            # in float32: gradients and small differences vanish in bf16
            importance = chosen_one(batch, task.choose(output))
            assert attention is not None
            attention = replace(attention, importance=importance, signed=chosen_one.signed)
        assert attention is not None
        places, explained = reading.batch.ids.tolist(), map(_by_name, reading.describe(attention))
        for place, given, described, parts in zip(
            places, reading.inputs, task.describe(output), explained, strict=True
        ):
            done[place] = task.located({"input": given, **described, **parts})
            while turn in done:
                yield done.pop(turn)
                turn += 1
    if bad:
        raise bad[0]


def _by_name(described: dict[str, Any]) -> dict[str, Any]:
    """Of several texts that are read together, each one's own words under its name."""
    if "texts" not in described:
        return described
    found, start = {}, 0
    for name, count in described["texts"].items():
        here = slice(start, start + count)
        found[name] = {"words": described["words"][here], "attention": described["attention"][here]}
        start += count
    return {"texts": found}


def _until_bad(inputs: Iterable[str], bad: list[BadInput]) -> Iterator[str]:
    try:
        yield from inputs
    except BadInput as error:
        bad.append(error)
