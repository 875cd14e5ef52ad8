"""A run's results under corruptions and attacks, and what these do to its answers and to its attention."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import torch
from torch import Generator, Tensor

from attnpred.config.options import Config
from attnpred.console.tables import align, number
from attnpred.contracts import Batch, ModelOutput
from attnpred.data.splits import Split
from attnpred.errors import UserError
from attnpred.inference.robustness.attacks import ATTACKS, Victim
from attnpred.machine.device import choose
from attnpred.modalities import corruptions
from attnpred.modalities.text.batch import TextInput
from attnpred.modalities.text.corruptions import grouped
from attnpred.models.views import answered
from attnpred.runs.run import Run
from attnpred.tasks.base import Task

SEVERITIES = (1, 2, 3, 4, 5)
SHAPES = ("whole", "parts")  # of answers that can be compared
MOVING = ("shift",)  # after which a part is not where it was, so that places cannot be compared
SPELT_ANEW = ("typos",)  # after which a word may have other tokens, so that words are compared
ATTACKABLE = {"fgsm": ("image", "series"), "pgd": ("image", "series"), "words": ("text",)}


@dataclass
class Measured:
    """What was met with one severity of one kind."""

    metrics: Any
    changed: list[bool] = field(default_factory=list)  # of each example, whether its answer is another
    moved: list[float | None] = field(default_factory=list)  # and the share of attention that lies elsewhere

    def told(self, task: Task) -> dict[str, float | None]:
        scalars, _ = task.results(self.metrics, learn=False)
        found: dict[str, float | None] = {name: float(value) for name, value in scalars.items()}
        kept = [one for one, other in zip(self.moved, self.changed, strict=True) if not other]
        return {
            **found,
            "changed": sum(self.changed) / len(self.changed),
            "attention_moved": _mean(self.moved),
            "attention_moved_where_kept": _mean(kept),
        }


def kinds(reader: Any) -> list[str]:
    """What the inputs that are read so can be put under. Of several inputs those change that know of a kind."""
    known = dict.fromkeys(name for spec in reader.specs.values() for name in corruptions(spec.modality))
    return [*known, *(name for name, able in ATTACKABLE.items() if reader.modality in able)]


def under(
    run: Run, config: Config, split: Split, names: Sequence[str], severities: Sequence[int] = SEVERITIES, seed: int = 0
) -> dict[str, Any]:
    """Results on the split as it is, and under each kind in each severity. All see the same examples."""
    reader, task, chosen = run.reader(), run.task(), choose(config.trainer)
    known = kinds(reader)
    if task.answer.shape not in SHAPES:
        raise UserError(f"{run.path}: --under is for answers of one piece or one a part; give a run of such a task")
    for name in names:
        if name not in known:
            raise UserError(f"--under {name}: not for {reader.modality}; use {', '.join(known) or 'nothing'}")
    victim = Victim(run.load_model().to(chosen.device_type), task, reader)
    look = _Look(victim, config, chosen)
    clean = task.metrics().to(chosen.device_type)
    met = {(n, s): Measured(task.metrics().to(chosen.device_type)) for n in names for s in severities}
    randoms = {key: Generator().manual_seed(seed * 1000 + key[1]) for key in met}
    for batch in islice(run.data(config).loader(split), config.trainer.limit_batches):
        before = look(batch)
        task.update_metrics(clean, before.output, before.batch)
        for (name, severity), one in met.items():
            after = look(_changed(victim, batch, name, severity, randoms[name, severity], chosen))
            task.update_metrics(one.metrics, after.output, after.batch)
            one.changed += [a != b for a, b in zip(before.answers, after.answers, strict=True)]
            one.moved += _elsewhere(before, after, name)
    if not met or not next(iter(met.values())).changed:
        raise UserError(f"{run.path}: {split} holds no examples; give data that does")
    scalars, _ = task.results(clean, learn=False)
    found: dict[str, Any] = {name: {} for name in names}
    for (name, severity), one in met.items():
        found[name][str(severity)] = one.told(task)
    return {"clean": {name: float(value) for name, value in scalars.items()}, "under": found}


def _changed(victim: Victim, batch: Batch, name: str, severity: int, random: Generator, chosen: Any) -> Batch:
    if name in ATTACKS:
        return ATTACKS[name](victim, batch.to(chosen.device_type), severity, random)
    readers = getattr(victim.reader, "readers", {victim.reader.name: victim.reader})
    inputs = dict(batch.inputs)
    for own, reader in readers.items():
        change = corruptions(reader.modality).get(name)
        inputs[own] = inputs[own] if change is None else change(inputs[own], reader, severity, random)
    return replace(batch, inputs=inputs)


@dataclass(frozen=True)
class Seen:
    batch: Batch
    output: ModelOutput
    answers: list[str]
    importance: Tensor  # (batch, parts)
    words: list[list[float]] | None  # of texts, each word's share


class _Look:
    """What a model answers, and where it looks."""

    def __init__(self, victim: Victim, config: Config, chosen: Any) -> None:
        self._victim, self._mirror, self._chosen = victim, config.data.mirrors(), chosen

    def __call__(self, batch: Batch) -> Seen:
        moved = batch.to(self._chosen.device_type)
        task = self._victim.task
        with torch.no_grad(), self._chosen.autocast():
            output = answered(self._victim.model, moved, mirror=self._mirror, need_attention=True)
        assert output.attention is not None
        importance = output.attention.importance.float().cpu()
        texts = [one for one in batch.inputs.values() if isinstance(one, TextInput)]
        words = list(self._words(texts[0].to("cpu"), importance)) if len(texts) == len(batch.inputs) == 1 else None
        answers = [task.headline(one)[0] for one in task.describe(output)]
        return Seen(moved, output, answers, importance, words)

    def _words(self, texts: TextInput, importance: Tensor) -> Iterator[list[float]]:
        tokenizer = self._victim.reader.vocabulary.tokenizer
        rows = zip(texts.tokens.tolist(), texts.lengths.tolist(), importance.tolist(), strict=True)
        for tokens, length, shares in rows:
            own = slice(texts.prefix, length - texts.suffix)
            yield [sum(shares[own][place] for place in places) for _, places in grouped(tokenizer, tokens[own])]


def _elsewhere(before: Seen, after: Seen, name: str) -> list[float | None]:
    """Of each example the share of attention that lies on other parts: half of the differences' sum.

    None where parts or words cannot be compared.
    """
    if name in MOVING:
        return [None] * len(before.answers)
    if name in SPELT_ANEW and before.words is not None and after.words is not None:
        return [_apart(one, other) for one, other in zip(before.words, after.words, strict=True)]
    if before.importance.shape != after.importance.shape:
        return [None] * len(before.answers)
    return [*(0.5 * (before.importance - after.importance).abs().sum(1)).tolist()]


def _apart(one: list[float], other: list[float]) -> float | None:
    if len(one) != len(other):
        return None
    return 0.5 * sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def table(found: dict[str, Any], metric: str) -> str:
    """A row a kind and severity."""
    head = ["", metric, "changed", "attention moved", "where kept"]
    rows = [["as it is", number(found["clean"].get(metric)), "", "", ""]]
    keys = (metric, "changed", "attention_moved", "attention_moved_where_kept")
    for name, severities in found["under"].items():
        rows += [[f"{name} {severity}", *(number(one[key]) for key in keys)] for severity, one in severities.items()]
    return align([head, *rows])
