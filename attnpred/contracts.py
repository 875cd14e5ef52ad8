"""What the rooms hand one another: batches, specifications of inputs and answers, and a model's output."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

Grid = tuple[int, int] | None  # rows and columns of an image's regions; None for a sequence, whose parts are its places
# One answer an input, one a part, one for each part that is hidden, or a sequence that is generated
Shape = Literal["whole", "parts", "hidden", "sequence"]


@dataclass(frozen=True, kw_only=True)
class Input(ABC):
    """One input of a batch's examples. Every modality has its own subclass; its tensors' first axis is the batch."""

    company: ClassVar[int] = 0  # how many others `among` takes; none where inputs cannot be put together

    evidence: Tensor | None = None  # which tokens or pixels decided the answer, where the data says it
    given: Tensor | None = None  # (batch,) bool: of several inputs, which examples have this one; None where all do

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def own(self) -> Tensor | None:
        """Which parts are the input's own, (batch, parts) bool; None where all are. Padding is not."""

    @abstractmethod
    def parts(self, grid: Grid) -> int:
        """How many parts an example has, padding included, where a model cuts images by `grid`."""

    @abstractmethod
    def without(self, gone: Tensor, how: str, spec: Any, grid: Grid) -> Self:
        """The input without the parts `gone`, (batch, parts) bool. `how` is one of the specification's removals."""

    @abstractmethod
    def evidence_on(self, grid: Grid) -> Tensor | None:
        """Which parts hold evidence, (batch, parts) bool; None where none is recorded."""

    @abstractmethod
    def described(self) -> str:
        """What the batch holds and how large it is, for an error message."""

    def answered(self) -> Tensor | None:
        """Of each part the number of what it gives the answer for, where each has one; None for every own part.

        (batch, parts) int64, rising from 0; -1 on parts without an answer, such as a word's second token. Hidden parts
        are numbered through the whole batch.
        """
        return None

    def varying(self) -> Mapping[str, tuple[int, ...]]:
        """Of its tensors the axes whose size differs from batch to batch, beside the first."""
        return {}

    def passages(self, spec: Any) -> Tensor | None:
        """Of each part the number of the passage that it belongs to, such as a sentence; None where there are none.

        (batch, parts) int64, rising from 0.
        """
        return None

    def among(self, others: Sequence[Self], turns: Tensor, spec: Any) -> Self:
        """Each example put together with one of each of the `others`, and marked as evidence itself.

        `turns`, (batch,), says at which place it stands among them, counted round and round.
        """
        raise NotImplementedError

    def trimmed(self) -> Self:
        """The same without padding that none of the examples needs."""
        return self

    def mirrored(self) -> Self | None:
        """Left and right exchanged; None where that makes no sense."""
        return None

    def tokens_read(self) -> Tensor | None:
        """How many tokens the batch holds, a scalar, for the throughput; None where it has none."""
        return None

    def statistics(self, reader: Any) -> dict[str, Tensor]:
        """Numbers of each example by name, (batch,) float each, that change where other input comes than was known."""
        return {}

    def _changed(self, change: Any) -> Self:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: change(value) for name, value in values.items() if isinstance(value, Tensor)})

    def rows(self, places: Tensor) -> Self:
        """The examples at these places, in that order and as often as they are named."""
        return self._changed(lambda value: value[places])

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        return self._changed(lambda value: value.to(device, non_blocking=non_blocking))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples: their inputs by name, what is to be answered (empty for new input), and where each came from."""

    inputs: Mapping[str, Input]
    targets: Mapping[str, Tensor]  # (batch, …) each, by the name that the task gave it
    ids: Tensor  # (batch,) int64: row in the split, to trace an example back
    # Of answers that are sequences, the tokens that are given: the model says what follows each one's beginning.
    # (batch, steps) int64, -1 behind the last; where it is None the model finds them
    given: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def input(self) -> Any:
        """The only input, for models that read one."""
        (only,) = self.inputs.values()
        return only

    def rows(self, places: Tensor) -> Self:
        """The examples at these places, in that order and as often as they are named."""
        return replace(
            self,
            inputs={name: one.rows(places) for name, one in self.inputs.items()},
            targets={name: target[places] for name, target in self.targets.items()},
            ids=self.ids[places],
            given=None if self.given is None else self.given[places],
        )

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        return replace(
            self,
            inputs={name: one.to(device, non_blocking=non_blocking) for name, one in self.inputs.items()},
            targets={name: one.to(device, non_blocking=non_blocking) for name, one in self.targets.items()},
            ids=self.ids.to(device, non_blocking=non_blocking),
            given=None if self.given is None else self.given.to(device, non_blocking=non_blocking),
        )

    def reading(self, only: Input) -> Self:
        """The same batch with another input in place of its only one."""
        (name,) = self.inputs
        return replace(self, inputs={name: only})


@dataclass(frozen=True, kw_only=True)
class Specification:
    """Plain values that are kept in the run directory, and checked when they are read from there."""

    def as_dict(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.compare}

    def check(self) -> None:
        """Raises ValueError where the values do not belong together."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` described, as it comes back from JSON; ValueError where it is something else."""
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        known = get_type_hints(cls)
        hints = {f.name: known[f.name] for f in fields(cls) if f.compare}
        optional = {f.name for f in fields(cls) if f.metadata.get("later")}
        for name in [*hints, *given]:
            missing = name not in given and name not in optional
            if name not in hints or missing or (name in given and not _is(given[name], hints[name])):
                raise ValueError(f"{name} is missing, unknown, or of another type")
        spec = cls(**given)
        spec.check()
        return spec


def later(default: Any) -> Any:
    """A field that runs of earlier versions lack."""
    return field(default=default, metadata={"later": True})


@dataclass(frozen=True, kw_only=True)
class InputSpec(Specification):
    """What a model must know of one input."""

    removals: ClassVar[tuple[str, ...]] = ("mask",)  # ways to take a part away, the usual one first
    moving: ClassVar[tuple[str, ...]] = ()  # those of them after which other parts stand at other places

    modality: str


@dataclass(frozen=True, kw_only=True)
class TargetSpec(Specification):
    """What a task must know of its target, made from the train part. Each task has its own subclass."""


@dataclass(frozen=True)
class Forecast:
    """Of an answer that tells the next values of a series: which, in the order variables, steps, numbers of each."""

    steps: int
    variables: tuple[int, ...]  # places among the input's variables
    numbers: int = 1  # one value, or so many quantiles of it


@dataclass(frozen=True)
class Generation:
    """Of an answer that is a sequence of tokens: what a model must know to generate it."""

    begin: int  # token that stands before the first
    end: int  # token that ends it, and is its last
    longest: int  # tokens, the end included
    shared: bool  # whether the input's tokens are of the same vocabulary


@dataclass(frozen=True)
class AnswerSpec:
    """The shape of a task's answer, from which a model makes its last layer."""

    width: int  # numbers of an answer, or of each part's
    shape: Shape = "whole"
    exclusive: bool = True  # numbers compete, as classes do, so that only their differences say something
    # Numbers around 0: the one that is farthest off is explained, in its own direction. Otherwise the largest is.
    centred: bool = False
    nothing: int | None = None  # of an answer a part, the number that says that there is nothing to tell of it
    chained: bool = False  # neighbours' answers depend on one another; see `models.chain`
    forecast: Forecast | None = None  # where the numbers are the next values of a series
    patch: int | None = None  # of hidden parts that are squares of an image or moments of a series: their side
    generation: Generation | None = None  # where the answer is a sequence, whose steps are its parts
    answers: tuple["AnswerSpec", ...] = ()  # where they are several answers' side by side, each one's in this order

    def choose(self, answer: Tensor, answered: Tensor | None = None) -> Tensor:
        """(batch, width) -> (batch,) int64: which number of each answer is explained. See `pick`.

        Where each part has an answer, (batch, parts, width), it is a number of a part (see `place`): of the one that
        tells most, among those that `answered`, (batch, parts), does not leave out. Where hidden parts have answers,
        (hidden, width), `answered` says which is whose.
        """
        if self.answers:
            return self.answers[0].choose(answer[:, : self.answers[0].width])
        numbers = answer.abs() if self.centred else answer
        column = numbers.argmax(-1)  # (batch,), (batch, parts) or (hidden,)
        column = torch.where(self.centred & (answer.gather(-1, column[..., None])[..., 0] < 0), ~column, column)
        if self.shape == "whole":
            return column
        telling = self._telling(numbers)
        if self.shape == "hidden":
            assert answered is not None
            telling, column = (one[answered.clamp(min=0)] for one in (telling, column))  # (batch, parts)
        part = (telling if answered is None else telling.masked_fill(answered < 0, -torch.inf)).argmax(1, keepdim=True)
        found = column.gather(1, part)[:, 0]
        against = found < 0
        flat = part[:, 0] * self.width + torch.where(against, ~found, found)
        return torch.where(against, ~flat, flat)

    def which(self, choice: Tensor) -> Tensor:
        """(batch,) -> (batch,) int64: of several answers side by side, the one that holds what was chosen."""
        ends = torch.tensor([one.width for one in self.answers], device=choice.device).cumsum(0)
        return torch.bucketize(torch.where(choice < 0, ~choice, choice), ends, right=True)

    def _telling(self, numbers: Tensor) -> Tensor:
        """(batch, parts, width) -> (batch, parts): how much each part has to tell; those with nothing come last."""
        sure = numbers.float().softmax(-1) if self.exclusive else numbers.float()
        if self.nothing is None:
            return sure.amax(-1)
        others = sure.index_fill(-1, torch.tensor([self.nothing], device=sure.device), -torch.inf)
        return others.amax(-1) + (sure.argmax(-1) != self.nothing)

    def place(self, choice: Tensor) -> tuple[Tensor, Tensor]:
        """(batch,) -> the part and the number of its answer that are chosen, (batch,) each; the latter as in `pick`."""
        against = choice < 0
        flat = torch.where(against, ~choice, choice)
        column = flat % self.width
        return flat // self.width, torch.where(against, ~column, column)

    def of_hidden(self, output: "ModelOutput", choice: Tensor) -> tuple[Tensor, Tensor]:
        """(batch,) -> the answers of the chosen hidden parts, (batch, width), and the numbers of them; see `place`."""
        assert output.answered is not None
        part, column = self.place(choice)
        return output.answer.float()[output.answered.gather(1, part[:, None])[:, 0]], column


def numbered(hidden: Tensor) -> Tensor:
    """(batch, parts) bool -> int64: the number of each hidden part among all of the batch; -1 of others."""
    return torch.where(hidden, hidden.flatten().cumsum(0).view_as(hidden) - 1, -1)


def pick(numbers: Tensor, choice: Tensor) -> Tensor:
    """(batch, …, width), (batch,) -> (batch, …): the chosen column; a choice below 0 is `~column`, turned around."""
    against = choice < 0
    column = torch.where(against, ~choice, choice)
    place = column.view(-1, *[1] * (numbers.ndim - 1)).expand(*numbers.shape[:-1], 1)
    found = numbers.gather(-1, place)[..., 0]
    return torch.where(against.view(-1, *[1] * (found.ndim - 1)), -found, found)


def pick_of(answer: Tensor, choice: Tensor) -> Tensor:
    """(batch, width) or (batch, parts, width), (batch,) -> (batch,): what was chosen of each answer. See `pick`."""
    return pick(answer.flatten(1), choice)


@dataclass(frozen=True)
class ModelSpec:
    """What a model is made for: its inputs by name, and the answer."""

    inputs: Mapping[str, InputSpec]
    answer: AnswerSpec

    @property
    def input(self) -> Any:
        """The only input's specification, for models that read one."""
        (only,) = self.inputs.values()
        return only


def _is(value: Any, hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is(one, get_args(hint)[0]) for one in value)
    return type(value) is hint or (hint is float and type(value) is int)


@dataclass(frozen=True)
class Attention:
    """Which parts of the inputs decided the answer, and the raw weights behind that.

    Parts are a text's tokens, or an image's regions in reading order. Those of several inputs follow one another in
    the order of the batch's inputs.
    """

    importance: Tensor  # (batch, parts) float32: sums to 1 over an example's own parts, 0 on all others
    layers: tuple[Tensor, ...] = ()  # each (batch, heads, query, key); none where a model was told to leave them out
    grids: tuple[Grid, ...] = (None,)  # of each input
    # (batch, positions): what the pooling takes of each position behind the last layer. Positions are the parts, and
    # before them those that are no part of the input, such as a learned token
    read: Tensor | None = None
    signed: bool = False  # parts can speak against the answer, below 0, and nothing need sum to 1
    # (batch, steps, parts) float32: of an answer that is a sequence, the importance for each of its steps
    steps: Tensor | None = None


@dataclass(frozen=True)
class ModelOutput:
    # (batch, width); (batch, parts, width) where each part has an answer, and so of a sequence's steps; or (hidden,
    # width) of all hidden parts
    answer: Tensor
    attention: Attention | None = None
    # Where parts have answers: (batch, parts) int64, what each is for; see `Input.answered`
    answered: Tensor | None = None
    chain: Any = None  # of a chained answer, a `models.chain.Chain`
    tokens: Tensor | None = None  # of a sequence, (batch, steps) int64: those that it is made of, -1 behind the last
    hypotheses: Any = None  # of a sequence that was looked for, `models.decoding.Hypotheses`: it, and the next best
