"""Answers and attention for new input, from a run directory alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from attnpred.config.options import Config
from attnpred.contracts import Attention, Batch, ModelOutput
from attnpred.errors import BadInput
from attnpred.explain.base import Explainer, make
from attnpred.inference.inputs import Inputs
from attnpred.machine.device import choose
from attnpred.modalities.reader import Reading
from attnpred.modalities.received import shown
from attnpred.runs.run import Run
from attnpred.tasks.base import Task

# Is told of every batch, with attention, and gives each of its inputs an id
Watch = Callable[[Reading, Batch, ModelOutput], list[str]]


def predict(
    run: Run,
    config: Config,
    inputs: Iterable[Any],
    explainer: str | None = None,
    attention: bool = True,
    decoding: Mapping[str, Any] = {},
) -> Iterator[dict[str, Any]]:
    """As `Predictor`, whose model is used once; `decoding` says how answers are looked for that are texts."""
    return Predictor(run, config, decoding).answers(inputs, explainer, attention)


class Predictor:
    """A run's model, loaded and ready to answer."""

    watch: Watch | None = None
    exact: Any = None  # the model for explainers, where `model` itself is kept in half the digits

    def __init__(self, run: Run, config: Config, decoding: Mapping[str, Any] = {}) -> None:
        self.reader: Any = run.reader()
        self.task = run.task()
        if decoding:
            self.task.decode_by(**decoding)
        self.chosen = choose(config.trainer)
        self.model = run.load_model().for_inference().to(self.chosen.device_type)
        self.size, self.mirror = config.data.eval_batch_size, config.data.mirrors()
        self.explainers: dict[tuple[str, str | None], Explainer] = {}  # by name, and by the answer that they are of

    def answers(
        self, inputs: Iterable[Any], explainer: str | None = None, attention: bool = True
    ) -> Iterator[dict[str, Any]]:
        """One plain description an input, in the order given, as soon as it and those before it are done.

        Where an input cannot be read, those before it are described, and then BadInput is raised. With the name of an
        `explainer` its map of the answer takes the place of the model's own attention; without `attention` it is left
        out.
        """
        start = 0
        bad: list[BadInput] = []
        for some in inputs.as_they_come() if isinstance(inputs, Inputs) else [inputs]:
            count = 0
            for described in self._in_order(_until_bad(some, bad), start, explainer, attention):
                count += 1
                yield described
            if bad:
                raise bad[0]
            start += count

    def _in_order(
        self, inputs: Iterator[Any], start: int, explainer: str | None, attention: bool
    ) -> Iterator[dict[str, Any]]:
        """`start`: how many inputs there were before these."""
        done: dict[int, dict[str, Any]] = {}
        turn, bad = 0, None
        try:
            for reading in self.reader.readings(inputs, self.size):
                found, error = self._until_unanswerable(reading, explainer, attention)
                done |= found
                if error is not None and (bad is None or error.position < bad.position):
                    bad = error
                while turn in done:
                    yield done.pop(turn)
                    turn += 1
                if bad is not None and turn == bad.position:
                    raise bad
        except BadInput as error:
            error.position += start
            raise

    def _until_unanswerable(
        self, reading: Reading, explainer: str | None, attention: bool
    ) -> tuple[dict[int, dict[str, Any]], BadInput | None]:
        """Each input's description by its place, up to one that can be read and not answered."""
        places = reading.batch.ids.tolist()
        try:
            return dict(zip(places, self._described(reading, explainer, attention), strict=True)), None
        except BadInput as error:
            before = [row for row, place in enumerate(places) if place < error.position]
            found = {}
            for again in self.reader.readings([reading.inputs[row] for row in before], self.size) if before else ():
                rows = again.batch.ids.tolist()
                for row, described in zip(rows, self._described(again, explainer, attention), strict=True):
                    found[places[before[row]]] = described
            given = reading.inputs[places.index(error.position)]
            return found, BadInput(f"{shown(given)}: {error}", error.position)

    def asked(self, batch: Batch, attention: bool) -> tuple[Batch, ModelOutput]:
        """The batch where the model is, and the model's output."""
        with torch.inference_mode(), self.chosen.autocast():
            batch = self.task.posed(batch.to(self.chosen.device_type))
            return batch, self.task.asked(self.model, batch, mirror=self.mirror, need_attention=attention)

    def _described(self, reading: Reading, explainer: str | None, attention: bool) -> Iterator[dict[str, Any]]:
        # of an answer a part, attention tells the words that it is about
        needed = attention or self.task.config.shape == "parts"
        batch, output = self.asked(reading.batch, needed or self.watch is not None)
        ids = [] if self.watch is None else self.watch(reading, batch, output)
        if views := self.task.views():
            answers = self._each(views, reading, output, batch, explainer, attention)
            yield from ({**found, **_named(ids, place)} for place, found in enumerate(answers))
            return
        parts = self._parts(reading, output, batch, explainer if attention else None) if needed else None
        for place, (given, described) in enumerate(zip(reading.inputs, self.task.describe(output), strict=True)):
            own = next(parts) if parts is not None else {}
            found = self.task.located({"input": given, **_named(ids, place), **described, **own})
            yield found if attention else {key: value for key, value in found.items() if key != "attention"}

    def _each(
        self,
        views: Mapping[str, Task],
        reading: Reading,
        output: ModelOutput,
        batch: Batch,
        explainer: str | None,
        attention: bool,
    ) -> Iterator[dict[str, Any]]:
        """Of several answers each as it would be described alone, with the attention that decided it."""
        answers: list[dict[str, Any]] = [{} for _ in reading.inputs]
        for name, task in views.items():
            parts: Iterator[dict[str, Any]] = iter([])
            if attention:
                choice = task.choose(output)
                with torch.inference_mode(), self.chosen.autocast():
                    looked: ModelOutput = self.model(batch, need_attention=True, need_layers=False, choice=choice)
                parts = self._parts(reading, looked, batch, explainer, name)
            for row, described in enumerate(task.describe(output)):
                answers[row][name] = {**described, **next(parts, {})}
        for given, found in zip(reading.inputs, answers, strict=True):
            yield {"input": given, "answers": found}

    def _parts(
        self, reading: Reading, output: ModelOutput, batch: Any, explainer: str | None, view: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Each input's own parts, and the attention on them; for the answer `view`, where there are several."""
        found = output.attention
        assert found is not None
        if explainer is not None:
            task = self.task if view is None else self.task.views()[view]
            if (explainer, view) not in self.explainers:
                self.explainers[explainer, view] = make(explainer, self.exact or self.model, task)
            chosen = self.explainers[explainer, view]
            batch = task.held(output, batch)
            # in float32: gradients and small differences vanish in bf16
            found = replace(found, importance=chosen(batch, task.choose(output)), signed=chosen.signed)
        described = map(_by_name, reading.describe(found))
        return described if found.steps is None else _with_steps(described, reading, found)


def _with_steps(described: Iterator[dict[str, Any]], reading: Reading, found: Attention) -> Iterator[dict[str, Any]]:
    """With what each step of an answer attended."""
    assert found.steps is not None
    steps = [list(reading.describe(Attention(one))) for one in found.steps.float().cpu().unbind(1)]
    for row, own in enumerate(described):
        yield {**own, "steps": [step[row]["attention"] for step in steps]}


def _by_name(described: dict[str, Any]) -> dict[str, Any]:
    """Of several texts that are read together, each one's own words under its name."""
    if "texts" not in described:
        return described
    words, attention = iter(described["words"]), iter(described["attention"])
    return {
        "texts": {
            name: {"words": list(islice(words, count)), "attention": list(islice(attention, count))}
            for name, count in described["texts"].items()
        }
    }


def _named(ids: list[str], place: int) -> dict[str, str]:
    return {"id": ids[place]} if ids else {}


def _until_bad(inputs: Iterable[Any], bad: list[BadInput]) -> Iterator[Any]:
    try:
        yield from inputs
    except BadInput as error:
        bad.append(error)
