"""Several inputs in, by name: a batch of each. Attention on all of their parts out: attention on each one's own."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from attnpred.contracts import Attention, Batch, Input, InputSpec
from attnpred.errors import BadInput
from attnpred.modalities.reader import Describe, Reader, Reading
from attnpred.modalities.received import Received
from attnpred.pages.pictures import Caption

GAP = 8  # pixels between two inputs' drawings


@dataclass(frozen=True)
class SeveralInputs:
    """A batch's inputs, as the reader of all is given them."""

    inputs: Mapping[str, Input]


class SeveralReader(Reader[Any, Any]):
    """The readers of the inputs, together."""

    name: ClassVar[str] = "several"
    modality = "several"

    def __init__(self, readers: Mapping[str, Reader[Any, Any]]) -> None:
        self.readers = dict(readers)

    @property
    def specs(self) -> dict[str, InputSpec]:
        return {name: one.spec for name, one in self.readers.items()}

    def of(self, batch: Batch) -> Any:
        return SeveralInputs(batch.inputs)

    def described(self) -> dict[str, Any]:
        found = {}
        for name, one in self.readers.items():
            (found[name],) = one.described().values()
        return found

    def going_on(self, config: Any) -> "SeveralReader":
        return SeveralReader({name: one.going_on(config.member(name)) for name, one in self.readers.items()})

    def save_files(self, directory: Path) -> None:
        for one in self.readers.values():
            one.save_files(directory)

    @classmethod
    def load(cls, directory: Path, spec: Any, options: dict[str, Any]) -> "SeveralReader":
        raise AssertionError("each input's reader is loaded by itself")

    # New input

    def accept(self, value: Any, position: int) -> Any:
        if not isinstance(value, str):
            return self._checked(value, position)
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            raise BadInput(f"{value[:40]}: is no JSON object of inputs; give {self._form()}", position) from None
        return self._checked(found, position)

    def _given(self, value: Any, position: int) -> dict[str, Any]:
        """An example as a command, a line of a file or Python gives it."""
        return dict(value) if isinstance(value, Received) else dict(self.accept(value, position))

    def received(self, value: Any, position: int) -> Received:
        found = self._named(value, position)
        return Received({name: self.readers[name].received(one, position) for name, one in found.items()})

    def _form(self) -> str:
        return " ".join(f"--input {name}=…" for name in self.readers) + ", or a JSON object with these names"

    def _checked(self, value: Any, position: int) -> dict[str, Any]:
        """The inputs of an example by name, each as its reader takes it."""
        found = self._named(value, position)
        return {n: self.readers[n].accept(one, position) if isinstance(one, str) else one for n, one in found.items()}

    def _named(self, value: Any, position: int) -> dict[str, Any]:
        """The inputs of an example by name; those that are missing are left out."""
        if not isinstance(value, Mapping):
            raise BadInput(f"the model reads {' and '.join(self.readers)}; give {self._form()}", position)
        if unknown := [name for name in value if name not in self.readers]:
            raise BadInput(f"{unknown[0]}: no such input; the model reads {' and '.join(self.readers)}", position)
        found = {name: one for name, one in value.items() if one is not None}
        if not found:
            raise BadInput(f"an example without any input; give at least one of {', '.join(self.readers)}", position)
        return found

    def readings(self, inputs: Iterable[Any], size: int) -> Iterator[Reading]:
        stream, start = iter(inputs), 0
        while some := list(islice(stream, size)):
            checked = [self._given(one, start + place) for place, one in enumerate(some)]
            found: dict[str, Input] = {}
            describe: dict[str, Describe] = {}
            for name, reader in self.readers.items():
                have = [name in one for one in checked]
                values = [one.get(name, reader.blank()) for one in checked]
                try:
                    own, describe[name] = reader.together(values)
                except BadInput as error:
                    error.position += start
                    raise
                found[name] = own if all(have) else replace(own, given=torch.tensor(have))
            ids = torch.arange(start, start + len(some))
            shown = [{k: v if isinstance(v, str | Mapping) else "…" for k, v in one.items()} for one in checked]
            yield Reading(shown, Batch(inputs=found, targets={}, ids=ids), self._describe(found, describe))
            start += len(some)

    # What attention means

    def describe(self, found: SeveralInputs) -> Describe:
        each = {name: self.readers[name].describe(one) for name, one in found.inputs.items()}
        return self._describe(found.inputs, each)

    def _describe(self, inputs: Mapping[str, Input], describe: Mapping[str, Describe]) -> Describe:
        def explain(attention: Attention) -> Iterator[dict[str, Any]]:
            parts = split(attention, inputs)
            magnitudes = {name: one.importance.abs().sum(1) for name, one in parts.items()}
            total = torch.stack(list(magnitudes.values())).sum(0).clamp(min=1e-12)
            each = {name: describe[name](evened(one, inputs[name])) for name, one in parts.items()}
            for row in range(len(total)):
                told = {}
                for name, own in each.items():
                    one, given = next(own), inputs[name].given
                    missing = given is not None and not bool(given[row])
                    share = float(magnitudes[name][row] / total[row])
                    told[name] = {"missing": True, "share": 0.0} if missing else {**one, "share": share}
                yield {"inputs": told}

        return explain

    def shown(self, found: SeveralInputs, attention: Attention, describe: Describe) -> list[dict[str, Any]]:
        parts = split(attention, found.inputs)
        each = {
            name: self.readers[name].shown(one, evened(parts[name], one), self.readers[name].describe(one))
            for name, one in found.inputs.items()
        }
        cross = crossing(attention, found.inputs)
        return [
            {
                "inputs": [{"name": name, **rows[row]} for name, rows in each.items()],
                **({} if cross is None else {"cross": self._shown_cross(found, attention, cross, row)}),
            }
            for row in range(len(next(iter(each.values()))))
        ]

    def _shown_cross(self, found: SeveralInputs, attention: Attention, cross: Tensor, row: int) -> list[list[float]]:
        """Of an example's shown parts, how much each attends to each: (parts, parts), both over all inputs."""
        matrix = cross[row].cpu()  # (query, key)

        def shown(values: Tensor) -> Tensor:
            """(times, parts) -> (times, parts that are shown)"""
            again = torch.full((len(values),), row)
            own = SeveralInputs({name: one.to("cpu").rows(again) for name, one in found.inputs.items()})
            like = replace(attention, importance=values, layers=())
            return torch.tensor(self.maps(own, values, like, self.describe(own)))

        return shown(shown(matrix).T.contiguous()).T.tolist()

    def maps(
        self, found: SeveralInputs, importance: Any, attention: Attention, describe: Describe
    ) -> list[list[float]]:
        parts = split(replace(attention, importance=importance), found.inputs)
        each = [
            self.readers[name].maps(one, parts[name].importance, parts[name], self.readers[name].describe(one))
            for name, one in found.inputs.items()
        ]
        return [[value for values in row for value in values] for row in zip(*each, strict=True)]

    # Pictures

    def draw(self, examples: Sequence[dict[str, Any]], maps: Sequence[Any], captions: Sequence[Caption]) -> np.ndarray:
        """One under another: what each input's own reader draws."""
        drawn, starts = [], [0] * len(examples)
        for place, reader in enumerate(self.readers.values()):
            own = [example["inputs"][place] for example in examples]
            counts = [parts_shown(one) for one in own]
            some = [list(m)[s : s + c] for m, s, c in zip(maps, starts, counts, strict=True)]
            drawn.append(reader.draw(own, some, captions))
            starts = [s + c for s, c in zip(starts, counts, strict=True)]
        width = max(one.shape[1] for one in drawn)
        padded = [np.pad(d, ((0, GAP), (0, width - d.shape[1]), (0, 0)), constant_values=255) for d in drawn]
        return np.concatenate(padded)

    def html(self, answer: dict[str, Any], caption: Caption) -> str:
        told = []
        for name, reader in self.readers.items():
            own = answer["inputs"][name]
            if "missing" not in own:
                told.append(reader.html({"input": answer["input"][name], **own}, caption))
        return "<br>".join(told)


def parts_shown(one: Mapping[str, Any]) -> int:
    """How many parts of an input a page shows."""
    return len(one["words"]) if "words" in one else int(one["grid"][0] * one["grid"][1])


def split(attention: Attention, inputs: Mapping[str, Input]) -> dict[str, Attention]:
    """The attention on each input's own parts."""
    grids = dict(zip(inputs, attention.grids, strict=True))
    counts = [one.parts(grids[name]) for name, one in inputs.items()]
    each = attention.importance.split(counts, dim=1)
    return {n: Attention(i, (), (grids[n],), signed=attention.signed) for n, i in zip(inputs, each, strict=True)}


def evened(attention: Attention, one: Input) -> Attention:
    """Where nothing of an unsigned attention lies on an input, all of its parts have alike: shares need a sum."""
    if attention.signed:
        return attention
    nothing = attention.importance.sum(1, keepdim=True) <= 0
    return replace(attention, importance=torch.where(nothing, 1.0, attention.importance))


def crossing(attention: Attention, inputs: Mapping[str, Input]) -> Tensor | None:
    """How much each part attends to each part, (batch, query, key), as the mean over layers and heads; None of none."""
    if not attention.layers:
        return None
    parts = attention.importance.shape[1]
    return torch.stack([w[..., -parts:, -parts:].float().mean(1) for w in attention.layers]).mean(0)
