"""Explanations of a trained run: on new input, or on a split, where they are measured too."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attnpred.config.compose import file_of
from attnpred.config.options import Config, Removal
from attnpred.explain import story
from attnpred.explain.study import Study, sanity
from attnpred.machine.device import choose
from attnpred.modalities.reader import Describe
from attnpred.runs.run import Run

CHECKED = 64  # examples on which maps are compared with those of a model that forgot what it learned


def explain(
    run: Run,
    config: Config,
    *,
    names: Sequence[str],
    inputs: Iterable[str] | None,
    split: Any = "val",
    limit: int = 100,
    removal: Removal | None = None,
) -> dict[str, Any]:
    """The story of the `inputs`, or of up to `limit` examples of the split, drawn once for all.

    Everything is computed in float32: differences between two nearly equal answers vanish in bf16.
    """
    reader: Any = run.reader()
    task = run.task()
    device = choose(config.trainer).device_type
    study = Study(run.load_model().to(device), task, names, removal)
    batches: Iterator[tuple[Any, Describe]]
    if inputs is None:
        data = run.data(config)
        sample = list(data.loader(split).sample(limit))
        batches = ((batch, reader.describe(batch.input)) for batch in sample)
    else:
        batches = (
            (reading.batch, reading.describe) for reading in reader.readings(inputs, config.data.eval_batch_size)
        )
    found: list[dict[str, Any]] = []
    for batch, describe_one in batches:
        explained = study.explain(batch.to(device))
        found += story.examples(explained, task, reader, describe_one)
        if inputs is None:
            study.measure(explained)
    measured = None
    if inputs is None:
        few = [batch.to(device) for batch in data.loader(split).sample(CHECKED)]
        measured = {**study.result(), "sanity": sanity(study.model, task, names, few)}
    return {
        "title": "/".join(run.path.resolve().parts[-2:]),
        "model": file_of(config.model._target_),
        "data": config.data.name,
        "split": split if inputs is None else None,
        "modality": reader.spec.modality,
        "scored": task.scored,
        "classes": task.names(),
        "explainers": [
            {
                "name": name,
                "signed": explainer.signed,
                "about": explainer.about(),
                "milliseconds": 1000 * study.seconds[name] / max(study.explained[name], 1),  # a map
            }
            for name, explainer in study.explainers.items()
        ],
        "faithfulness": measured,
        "examples": sorted(found, key=lambda example: example["id"]),
    }
