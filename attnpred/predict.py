"""Labels, probabilities and attention for new input, from a run directory alone."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from attnpred import schema
from attnpred.config import Config
from attnpred.data import load_reader
from attnpred.device import choose
from attnpred.run import Run


def predict(run: Run, config: Config, inputs: Iterable[str]) -> Iterator[dict[str, Any]]:
    """One plain description an input, in order, as soon as its batch is done."""
    reader: Any = load_reader(run.path)
    chosen = choose(config.trainer)
    task = schema.load(config.task._target_)(config.task, reader.spec)
    model = run.load_model().to(chosen.device_type)
    stream = iter(inputs)
    while batch_inputs := list(itertools.islice(stream, config.data.eval_batch_size)):
        batch = reader.batch(batch_inputs).to(chosen.device_type)
        with torch.inference_mode(), chosen.autocast():
            output = model(batch, need_attention=True)
        importance = output.attention.importance.float().cpu().tolist()  # (batch, parts)
        for given, weights, described in zip(batch_inputs, importance, task.predict(output), strict=True):
            yield {"input": given, **described, **reader.explain(given, weights, grid=output.attention.grid)}
