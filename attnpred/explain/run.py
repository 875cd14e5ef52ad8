"""Explanations of a trained run: on new input, or on a split, where they are measured too."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attnpred.compare.record import read
from attnpred.config.compose import file_of
from attnpred.config.options import Config, Removal
from attnpred.console.tables import number
from attnpred.errors import UserError
from attnpred.explain import story
from attnpred.explain.cascade import cascade
from attnpred.explain.extra import Extra, like_of
from attnpred.explain.overview import overview
from attnpred.explain.pointing_game import game
from attnpred.explain.study import Explained, Study, sanity
from attnpred.machine.device import choose
from attnpred.modalities.reader import Describe
from attnpred.models.base import Model
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
    protocol: bool = False,
    twin: Run | None = None,
    beside: Run | None = None,
    prototypes: int = 0,
) -> dict[str, Any]:
    """The story of the `inputs`, or of up to `limit` examples of the split, drawn once for all.

    `protocol`: measured by everything there is; `twin` is a run of another seed, whose maps are compared. `beside` is
    another run whose attention is shown on the same inputs, and `prototypes` how many training examples with like
    attention are shown of each.

    Everything is computed in float32: differences between two nearly equal answers vanish in bf16.
    """
    reader: Any = run.reader()
    task = run.task()
    device = choose(config.trainer).device_type
    other = None if twin is None else twin_of(run, twin).to(device)
    model = run.load_model().to(device)
    studies = {
        name: Study(model, view, names, removal, protocol=protocol, twin=other)
        for name, view in (task.views() or {"": task}).items()
    }
    batches: Iterator[tuple[Any, Describe]]
    if inputs is None:
        data = run.data(config)
        sample = list(data.loader(split).sample(limit))
        batches = ((batch, reader.describe(reader.of(batch))) for batch in sample)
    else:
        batches = (
            (task.posed(reading.batch), reading.describe)
            for reading in reader.readings(inputs, config.data.eval_batch_size)
        )
    extra = Extra(run, config, model, task, device, beside, prototypes)
    found: list[dict[str, Any]] = []
    for batch, describe_one in batches:
        of_each = {}
        for name, study in studies.items():
            explained = study.explain(batch.to(device))
            of_each[name] = _scored(
                story.examples(explained, study.task, reader, describe_one), study, explained, inputs
            )
        found += extra.added(story.merged(of_each), batch.to(device), describe_one)
    measured: dict[str, Any] | None = None
    first = next(iter(studies.values()))
    if inputs is None:
        few = [batch.to(device) for batch in data.loader(split).sample(CHECKED)]
        each = {name: _measured(study, names, few, protocol=protocol) for name, study in studies.items()}
        measured = each[""] if "" in each else {**next(iter(each.values())), "answers": each}
    return {
        "title": _heading(run, config),
        "run": "/".join(run.path.resolve().parts[-2:]),
        "model": file_of(config.model._target_),
        "data": config.data.name,
        "split": split if inputs is None else None,
        "modality": reader.modality,
        "scored": task.scored,
        "classes": task.names(),
        "explainers": [
            {
                "name": name,
                "signed": explainer.signed,
                "about": explainer.about(),
                "milliseconds": 1000 * first.seconds[name] / max(first.explained[name], 1),  # a map
            }
            for name, explainer in first.explainers.items()
        ]
        + extra.explainers(),
        "faithfulness": measured,
        "overview": overview(found, names[0]) if inputs is None else None,
        "examples": sorted(found, key=lambda example: example["id"]),
    }


def twin_of(run: Run, twin: Run) -> Model:
    """The model of another run, which must read what this one reads and answer what it answers."""
    theirs = like_of(run, twin, "--twin")
    if run.config().model._target_ != twin.config().model._target_:
        raise UserError(f"--twin {twin.path}: is of another model than {run.path}; give one that differs in its seed")
    return theirs


def _heading(run: Run, config: Config) -> str:
    """Model, data and, where the run has one, its result: `transformer on sst2, test accuracy 0.831`."""
    what = f"{file_of(config.model._target_)} on {config.data.name}"
    results, metric = read(run.path).results, (config.checkpoint.monitor or "").partition("/")[2]
    for split in ("test", "val"):
        if (value := results.get(f"{split}/{metric}")) is not None:
            return f"{what}, {split} {metric.replace('_', ' ')} {number(value)}"
    return what


def _measured(study: Study, names: Sequence[str], few: Sequence[Any], *, protocol: bool) -> dict[str, Any]:
    """What was measured of an answer's explanations, and how far they hang on what was learned."""
    model, task = study.model, study.task
    found = {**study.result(), "scored": task.scored, "sanity": sanity(model, task, names, few)}
    if not protocol:
        return found
    for name, told in game(model, task, study.explainers, few).items():
        found["scores"][name]["pointing_game"] = list(told)
    return {**found, "cascade": cascade(model, task, names, few)}


def _scored(examples: list[dict[str, Any]], study: Study, explained: Explained, inputs: Any) -> list[dict[str, Any]]:
    """With what is measured of each, by explainer and measure, where they are of a split."""
    if inputs is not None:
        return examples
    study.measure(explained)
    scores = study.scores[-len(examples) :]
    return [{**example, "scores": one} for example, one in zip(examples, scores, strict=True)]
