"""Exports a run into one folder: the file, what reads its input, what it answers, and how it was checked."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from attnpred.config import compose
from attnpred.config.options import Config
from attnpred.contracts import Batch
from attnpred.errors import UserError
from attnpred.files import write_json, write_text
from attnpred.inference.export import card, example, losses, onnx_file, quantised
from attnpred.inference.export.check import Check, compare
from attnpred.inference.export.described import Described
from attnpred.inference.export.file_model import FileModel
from attnpred.inference.export.intervals import metrics_with_intervals
from attnpred.inference.export.plain import without_places
from attnpred.inference.export.session import Exported
from attnpred.inference.export.wrapped import Wrapped, axes_of, named, tensors_of
from attnpred.modalities.reader import save_reader
from attnpred.models.base import Model
from attnpred.models.views import answered
from attnpred.runs.run import Run
from attnpred.tasks.base import Task
from attnpred.version import __version__

Kind = Literal["onnx", "torch"]
TRACED_STEPS = 3  # of an answer that is a sequence
MOST_SEQUENCES = 100  # that are measured: a file answers them token by token, and reads all anew for each
Precision = Literal["float32", "float16", "int8-dynamic", "int8-static"]


@dataclass(frozen=True)
class Asked:
    """What is exported, and on how many validation examples it is checked, and measured where it is quantised."""

    kind: Kind = "onnx"
    precision: Precision = "float32"
    examples: int = 200
    measured: int = 1_000


@dataclass(frozen=True)
class Source:
    """A run made ready to be exported: its model as it is and as it infers, its task, and examples of validation."""

    run: Run
    config: Config
    model: Model
    task: Task
    sample: Sequence[Batch]

    @classmethod
    def of(cls, run: Run, config: Config, examples: int) -> "Source":
        task = run.task()
        if task.answer.shape == "hidden":
            raise UserError(
                f"{run.path}: finds what is hidden, which is pre-training; fine-tune from it and export that run"
            )
        sample = [task.posed(batch) for batch in run.data(config).loader("val").sample(examples)]
        if not sample:
            raise UserError(f"{run.path}: its validation split is empty, so that nothing can be compared; give data.…")
        return cls(run, config, run.load_model(), task, sample)

    @property
    def mirror(self) -> bool:
        return self.config.data.mirrors()

    @property
    def like(self) -> Batch:
        """The batch that is traced: the longest of the sample."""
        found = max(self.sample, key=lambda batch: max(value[0].numel() for value in tensors_of(batch).values()))
        if self.task.answer.generation is None:
            return found
        return replace(found, given=torch.zeros(len(found), TRACED_STEPS, dtype=torch.long))

    def described(self, asked: Asked) -> Described:
        given, few = tensors_of(self.like), self.like.rows(torch.zeros(1, dtype=torch.long))
        with torch.inference_mode():
            output = answered(self.model, few, mirror=self.mirror, need_attention=True)
        assert output.attention is not None
        inputs = {
            name: {
                "type": str(given[name].dtype).removeprefix("torch."),
                "axes": [axes.get(axis, size) for axis, size in enumerate(given[name].shape)],
            }
            for name, axes in axes_of(self.like).items()
        }
        return Described(
            asked.kind,
            asked.precision,
            inputs,
            tuple(named(output)),
            output.attention.grids,
            self.task.state(),
            __version__,
        )


def export(run: Run, config: Config, directory: Path, asked: Asked) -> dict[str, Any]:
    """Writes the folder and returns what its check.json says; nothing is left where the export is not true."""
    if getattr(config.model, "cell", None) is not None and config.task.shape == "sequence":
        raise UserError(f"{run.path}: a recurrent decoder is a loop that no file holds here; serve the run")
    onnx_file.require_onnx() if asked.kind == "onnx" else None
    source = Source.of(run, config, asked.examples)
    about = source.described(asked)
    with _made(directory) as draft:
        wrapped = Wrapped(run.load_model().for_inference(), source.like, mirror=source.mirror).eval()
        _write_around(source, about, draft)
        if asked.kind == "torch":
            file = onnx_file.write_program(wrapped, source.like, draft)
            exported: Any = _program(source, file, about)
        else:
            file = onnx_file.write_onnx(wrapped, source.like, draft, about.outputs)
            seen = [losses.with_answer(source.task, batch) for batch in source.sample]
            quantised.convert(file, asked.precision, seen, about)
            exported = Exported(draft).model
        checked = _checked(source, exported, asked)
        checked.refuse()
        told: dict[str, Any] = {**checked.as_dict(), "bytes": _bytes(draft, file)}
        if source.task.answer.shape in ("whole", "parts"):
            answers = [(batch, exported(batch)) for batch in source.sample]
            told["metrics"] = metrics_with_intervals(source.task, answers)
        if asked.precision.startswith("int8"):
            data = run.data(config)
            count = asked.measured if source.task.answer.generation is None else min(asked.measured, MOST_SEQUENCES)
            batches = [source.task.posed(batch) for batch in data.loader("val").sample(count)]
            told["quantised"] = losses.measure(exported, about, source.task, batches, draft)
        write_json(draft / "check.json", told)
        write_text(draft / "model_card.md", card.text(run, config, about, told))
    return told


def _checked(source: Source, exported: FileModel, asked: Asked) -> Check:
    return compare(
        source.model,
        exported,
        source.task,
        source.sample,
        mirror=source.mirror,
        split="val",
        precision=asked.precision,
    )


def _write_around(source: Source, about: Described, draft: Path) -> None:
    """All but the model: what reads input and describes answers, the names of classes, and the example."""
    reader = source.run.reader()
    save_reader(draft, reader, source.task.spec)
    write_text(draft / "config.yaml", compose.as_yaml(without_places(source.run.config())))
    about.write(draft)
    write_json(draft / "labels.json", source.task.names())
    if (text := example.text(reader, source.task, about)) is not None:
        write_text(draft / "example.py", text)


def _program(source: Source, file: Path, about: Described) -> FileModel:
    """The file just written as a model. One from elsewhere is never read: it may hold code."""
    module = torch.export.load(file).module()
    return FileModel(source.config.model, source.model.spec, lambda given: module(dict(given)), about).eval()


def _bytes(draft: Path, file: Path) -> int:
    return sum(one.stat().st_size for one in draft.glob(f"{file.name}*"))


@contextmanager
def _made(directory: Path) -> Iterator[Path]:
    """A folder that is there whole or not at all."""
    if directory.exists():
        raise UserError(f"{directory}: is there already; remove it, or give another by --out")
    draft = directory.with_name(f".{directory.name}.{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        yield draft
        draft.replace(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def name_of(asked: Asked) -> str:
    """Of a folder inside the run directory: `onnx`, `onnx-int8-dynamic`."""
    return asked.kind if asked.precision == "float32" else f"{asked.kind}-{asked.precision}"
