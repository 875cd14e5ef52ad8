"""What readers of new input share, and the file that describes inputs and target in a run directory."""

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from attnpred.contracts import Attention, Batch, Input, InputSpec, TargetSpec
from attnpred.errors import BadInput, UserError
from attnpred.files import read_json
from attnpred.modalities import received
from attnpred.pages.pictures import Caption

S = TypeVar("S", bound=InputSpec)
I = TypeVar("I", bound=Input)  # noqa: E741
SPEC_FILE = "spec.json"
# What nobody means as a text that is to be read
FILE_NAME = re.compile(r"\S+\.(txt|text|md|csv|tsv|json|jsonl|ndjson|parquet|arrow|html?|log|gz|png|jpe?g|gif|webp)")
# Each input's own parts with the attention on them, as plain containers
Describe = Callable[[Attention], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Reading:
    """A batch of new input; its ids are the inputs' places in the order given, which need not be its own."""

    inputs: list[Any]
    batch: Batch
    describe: Describe


@dataclass(frozen=True)
class Standalone:
    """Python that reads one input without attnpred: it makes `feeds`, an export's tensors, and names the `parts`.

    A modality has it in a module `standalone`, with a function of that name that takes the reader.
    """

    argument: str  # what the program is given, as its usage shows it
    packages: tuple[str, ...]
    imports: tuple[str, ...]
    lines: tuple[str, ...]


class Reader(ABC, Generic[S, I]):
    """One kind of input: makes batches of what a user gives, and says and draws what attention on it means."""

    name: ClassVar[str]  # of the input in a batch
    spec: S

    @property
    def modality(self) -> str:
        return self.spec.modality

    @property
    def specs(self) -> dict[str, InputSpec]:
        """Of each input that it reads, by its name in a batch."""
        return {self.name: self.spec}

    def of(self, batch: Batch) -> Any:
        """What of a batch it describes and shows."""
        return batch.input

    def described(self) -> dict[str, Any]:
        """All that is known of each input, as plain containers."""
        return {self.name: {"spec": self.spec.as_dict(), "reader": self.options()}}

    @abstractmethod
    def readings(self, inputs: Iterable[Any], size: int) -> Iterator[Reading]:
        """Batches of new input, for as much memory as `size` of the largest need; BadInput where one is unreadable."""

    def together(self, values: Sequence[Any]) -> tuple[I, Describe]:
        """These inputs as one, in the order given, and what describes attention on it; BadInput as in `readings`."""
        (reading,) = self.readings(values, len(values))
        return reading.batch.input, reading.describe

    def blank(self) -> Any:
        """What stands for an input that is missing, and is not looked at."""
        raise NotImplementedError(f"{type(self).__name__} reads no one of several inputs")

    @abstractmethod
    def describe(self, found: I) -> Describe:
        """What a reading's `describe` does, for a batch of the data."""

    @abstractmethod
    def shown(self, found: I, attention: Attention, describe: Describe) -> list[dict[str, Any]]:
        """What a page shows of each example, without any map: plain containers."""

    @abstractmethod
    def maps(self, found: I, importance: Any, attention: Attention, describe: Describe) -> list[list[float]]:
        """Each example's numbers for a page, of an importance (batch, parts): one for each part that is shown."""

    @abstractmethod
    def draw(self, examples: Sequence[dict[str, Any]], maps: Sequence[Any], captions: Sequence[Caption]) -> np.ndarray:
        """A picture, (height, width, 3) uint8, of examples as `shown` describes them, under their maps."""

    @abstractmethod
    def html(self, answer: dict[str, Any], caption: Caption) -> str:
        """An answer of `predict` as a notebook shows it."""

    def accept(self, value: str, position: int) -> Any:
        """What a command was given, as `readings` takes it; BadInput where it is something else."""
        return value

    def going_on(self, config: Any) -> Self:
        """As training goes on with it on other data: by that data's options, but for what the model depends on."""
        return self

    def received(self, value: Any, position: int) -> Any:
        """What a service was sent, or a table holds, as `readings` takes it; BadInput where it is something else.

        It never names a file of this machine.
        """
        return received.text(value, position)

    def options(self) -> dict[str, Any]:
        """What, beyond the specification, `load` is given back."""
        return {}

    def save_files(self, directory: Path) -> None:
        """Writes what `load` needs into the run directory, beside its specification."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, spec: S, options: dict[str, Any]) -> Self:
        """From a run directory, which may come from a stranger."""


def refuse_file(value: str, position: int) -> None:
    """Raises where the name of a file was given to a model that reads texts."""
    if os.path.isfile(value):  # noqa: PTH113  a Path raises where a text is long
        raise BadInput(f"{value}: is a file, and the model reads texts; give the text, or - < FILE", position)
    if FILE_NAME.fullmatch(value):
        raise BadInput(f"{value}: no such file; give a text itself, or - < FILE", position)


def save_reader(directory: Path, reader: Reader[Any, Any], target: TargetSpec) -> None:
    """Writes all that is known of a model's input and target, apart from its weights."""
    reader.save_files(directory)
    text = json.dumps({"inputs": reader.described(), "target": target.as_dict()}, indent=1, ensure_ascii=False)
    (directory / SPEC_FILE).write_text(text + "\n", encoding="utf-8")


def read_specs(directory: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What `save_reader` wrote: of each input its `spec` and `reader`, and the target, all as plain containers."""
    if not (directory / SPEC_FILE).is_file():
        raise UserError(f"{directory}: has no {SPEC_FILE}; give the directory of a run that got as far as its data")
    values = read_json(directory / SPEC_FILE)
    if isinstance(values, dict) and isinstance(values.get("spec"), dict):
        values = _of_one_input(values)
    inputs = values.get("inputs") if isinstance(values, dict) else None
    if not isinstance(inputs, dict) or not inputs or not isinstance(values.get("target"), dict):
        raise damaged(directory, "inputs or target is missing")
    for one in inputs.values():
        if not isinstance(one, dict) or not all(isinstance(one.get(key), dict) for key in ("spec", "reader")):
            raise damaged(directory, "spec or reader is missing")
    return inputs, values["target"]


def _of_one_input(values: dict[str, Any]) -> dict[str, Any]:
    """The file as earlier versions wrote it: one input, and the classes among its specification."""
    spec = dict(values["spec"])
    target = {"classes": spec.pop("classes")} if "classes" in spec else {}
    return {"inputs": {str(spec.get("modality")): {"spec": spec, "reader": values.get("reader")}}, "target": target}


def damaged(directory: Path, reason: str) -> UserError:
    return UserError(f"{directory / SPEC_FILE}: describes no input of a model ({reason}); restore the file")
