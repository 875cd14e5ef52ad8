"""Data of several inputs of different kinds a row: its options and the dataset."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.config import schema
from attnpred.config.data_options import DataConfig
from attnpred.config.options import Modality
from attnpred.config.schema import Invalid, option
from attnpred.console.say import say
from attnpred.contracts import Batch, InputSpec
from attnpred.data.base import Data
from attnpred.data.batching import BatchLoader, Integers
from attnpred.data.hashing import scattered
from attnpred.data.splits import Split
from attnpred.data.targets import Stored
from attnpred.errors import UserError
from attnpred.modalities.several.reader import SeveralReader

# What the inputs of a row have in common
SHARED = (
    *("name", "source", "subset", "revision", "rows", "label_column", "targets", "on_bad_row", "paths_outside"),
    *("train_split", "val_split", "test_split", "split_column", "group_column", "time_column", "folds", "fold"),
    *("val_fraction", "test_fraction", "split_seed", "batch_size", "eval_batch_size", "cache_dir"),
)
COLUMN = {"text": "text_column", "image": "image_column", "series": "columns"}  # the option that names an input's


@dataclass(kw_only=True)
class SeveralDataConfig(DataConfig):
    """Options of data of several inputs."""

    modality: ClassVar[Modality] = "several"

    inputs: dict[str, DataConfig] = option(
        "The inputs by names of their own, each with its class and its columns: data.inputs.image.image_column=photo."
    )

    def check(self) -> None:
        super().check()
        if len(self.inputs) < 2:
            raise Invalid("inputs", "holds fewer than two; name two, or take a dataset of one kind of input")
        kinds = [one.modality for one in self.inputs.values()]
        if len(set(kinds)) < len(kinds):
            raise Invalid("inputs", "two are of one kind; texts are read together by data.text_column=[a,b]")
        if self.evidence_column is not None:
            raise Invalid("evidence_column", "is each input's own; set data.inputs.NAME.evidence_column")
        for name, one in self.inputs.items():
            if not name.isidentifier() or one.modality not in COLUMN:
                raise Invalid("inputs", f"{name} is no input's name, or of a kind that cannot be one of several")
            augment = getattr(one, "augment", None)
            if one.streams() or (augment is not None and (augment.mixup or augment.cutmix or augment.small_share)):
                raise Invalid("inputs", f"{name} streams, mixes or resizes, which one of several inputs cannot")

    def settled_by(self, sample: Callable[[], dict[str, list[Any]]], reads: str) -> Self | None:
        """With the columns found that are left open: each input's by its kind, and the target's among the rest."""
        from attnpred.data import columns

        targets, where = (self.target_columns(reads) if reads else None) or ([], "data.label_column")
        open_inputs = [name for name, one in self.inputs.items() if not getattr(one, COLUMN[one.modality])]
        if not open_inputs and (targets or not reads):
            return None
        rest = {key: values for key, values in sample().items() if key not in targets}
        found: dict[str, Any] = {}
        finders = {"text": columns.text_beside_others, "image": columns.image_in, "series": columns.series_in}
        for name in sorted(open_inputs, key=lambda n: self.inputs[n].modality == "text"):  # paths are texts too
            one = self.inputs[name]
            column = finders[one.modality](rest)
            if column is None:
                raise UserError(
                    f"data.inputs.{name}.{COLUMN[one.modality]}: which column of {self.source} holds it? There is "
                    f"{', '.join(rest)}; name one"
                )
            found[name] = column
            rest.pop(column)
        for one in self.inputs.values():
            named = getattr(one, COLUMN[one.modality]) or []
            for column in (*([named] if isinstance(named, str) else named), one.evidence_column):
                rest.pop(column, None)
        if found:
            say(f"columns of {self.source}: " + ", ".join(f"{name}={column}" for name, column in found.items()))
        changed = {
            name: _with(one, COLUMN[one.modality], [found[name]] if one.modality == "series" else found[name])
            for name, one in self.inputs.items()
            if name in found
        }
        settled = replace(self, inputs={**self.inputs, **changed})
        if targets or not reads:
            return settled
        target = columns.target_in(rest)
        if target is None:
            raise UserError(
                f"{where}: which column of {self.source} holds the target? There is {', '.join(rest)}; name it"
            )
        say(f"columns of {self.source}: {where}={target}")
        if where == "data.label_column":
            return replace(settled, label_column=target)
        return replace(settled, targets={**(self.targets or {}), reads: target})

    def member(self, name: str) -> Any:
        """One input's options, with what all have in common."""
        return replace(self.inputs[name], **{key: getattr(self, key) for key in SHARED})


class SeveralStore:
    """The same split, prepared once for each input; a row can be used where all of its inputs can."""

    def __init__(self, stores: dict[str, Any]) -> None:
        self.stores = stores
        self.size = sum(store.size for store in stores.values())
        self.about = {"bad": [said for store in stores.values() for said in store.about.get("bad", [])]}

    @cached_property
    def targets(self) -> Stored:
        found: Stored = next(iter(self.stores.values())).targets
        return found

    def digests(self) -> NDArray[np.uint64] | None:
        each = [store.digests() for store in self.stores.values()]
        if any(one is None for one in each):
            return None
        total = np.zeros(len(each[0]), np.int64)
        for one in each:
            total = scattered(torch.from_numpy(total + one.astype(np.int64))).numpy()
        return total.astype(np.uint64)


class SeveralData(Data[SeveralDataConfig, SeveralReader, Any]):
    """A dataset whose rows have several inputs."""

    def __init__(self, config: SeveralDataConfig, target: Any, **given: Any) -> None:
        super().__init__(config, target, **given)
        reader, begun = given.pop("reader", None), given.pop("begun", None)
        self.members: dict[str, Any] = {}
        for name, one in config.inputs.items():
            own = None if reader is None else reader.readers[name]
            start = None if begun is None else begun.member(name)
            kind = schema.load(one._target_)
            self.members[name] = kind(config.member(name), target, reader=own, begun=start, **given)

    @property
    def specs(self) -> dict[str, InputSpec]:
        return self.reader.specs

    def _make_reader(self) -> SeveralReader:
        return SeveralReader({name: one.reader for name, one in self.members.items()})

    def _columns(self) -> dict[str, str]:
        return {
            option.replace("data.", f"data.inputs.{name}.", 1): column
            for name, one in self.members.items()
            for option, column in one._columns().items()
        }

    def _prepare(self, name: str, option: str) -> SeveralStore:
        return SeveralStore({key: one._prepare(name, option) for key, one in self.members.items()})

    def _good(self, stored: Stored, name: str, option: str) -> NDArray[Any]:
        rows = super()._good(stored, name, option)
        if self.config.on_bad_row == "fail":
            return rows
        usable = [self.target.usable(store.targets) for store in self._stores[name].stores.values()]
        kept: NDArray[Any] = rows[np.all(usable, axis=0)[rows]]
        return kept

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> BatchLoader:
        store, rows, values = self._part(split)
        lengths = np.ones(len(rows), np.uint8)
        for name, one in self.members.items():
            if (own := one.lengths(store.stores[name], rows)) is not None:
                lengths = own

        def make(positions: Integers) -> Batch:
            chosen = rows[positions].astype(np.int64)
            inputs = {name: one.taken(store.stores[name], chosen) for name, one in self.members.items()}
            return Batch(inputs=inputs, targets=self.target.tensors(values[positions]), ids=torch.from_numpy(chosen))

        train = split == "train"
        return BatchLoader(
            make,
            lengths,
            batch_size=self.config.batch_size if train else self.config.eval_batch_size,
            train=train,
            drop_last=train,
            weights=self._draw_weights(split, values),
            seed=seed,
            rank=rank,
            world=world,
        )

    def augment(self, epochs: int, soften: Callable[[Any], Any] | None = None) -> Callable[[Batch, int], Batch] | None:
        """Each input's own changes."""
        found = {name: one.augment(epochs, None) for name, one in self.members.items()}
        changes = {name: change for name, change in found.items() if change is not None}
        if not changes:
            return None

        def changed(batch: Batch, epoch: int) -> Batch:
            inputs = dict(batch.inputs)
            for name, change in changes.items():
                alone = Batch(inputs={name: inputs[name]}, targets={}, ids=batch.ids)
                inputs[name] = change(alone, epoch).input
            return replace(batch, inputs=inputs)

        return changed


def _with(options: Any, name: str, value: Any) -> Any:
    return replace(options, **{name: value})
