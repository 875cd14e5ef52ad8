"""Training on rows without labels: with labels by a teacher that is sure, and by holding two views to one answer."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.config.options import Config
from attnpred.config.self_training_options import SelfTrainingConfig
from attnpred.console.say import say
from attnpred.contracts import AnswerSpec, Batch
from attnpred.data.batching import BatchLoader
from attnpred.data.labelled import labelling
from attnpred.data.splits import carving, source_split
from attnpred.errors import UserError
from attnpred.machine.device import choose
from attnpred.models.base import Model
from attnpred.models.views import answered
from attnpred.runs.run import Run
from attnpred.tasks.base import Task
from attnpred.training.distillation import ALL, imitation

VERSION = 1  # raised when the code makes other files of the same input
ROWS, SAID, SURE = "rows.npy", "said.npy", "sure.npy"


def add_labels(config: Config, data: Any, task: Task) -> None:
    """Gives rows without labels those that the teacher is sure of; nothing where no teacher is named."""
    name, options = config.self_training.teacher, config.self_training
    if name is None:
        return
    run = Run.find(name)
    place = f"self_training.teacher={name}"
    _check(run, task, place)
    split, option = source_split(config.data, "train")
    key = {
        "version": VERSION,
        "teacher": hashlib.blake2b(run.checkpoint().read_bytes(), digest_size=16).hexdigest(),
        "carving": carving(config.data) | labelling(config.data),
        **data._key(),
    }

    def build(directory: Path) -> None:
        _ask(directory, run, config, task)

    directory = data._entry("labels", (split, option), data._all_columns(), key, f"labels by {name}", build)
    rows, said, sure = (np.load(directory / file, allow_pickle=False) for file in (ROWS, SAID, SURE))
    chosen = sure >= options.threshold
    if not chosen.any():
        raise UserError(
            f"self_training.threshold={options.threshold:g}: the teacher is as sure of none of {len(rows):,} rows; "
            f"lower it, its surest answer has {sure.max(initial=0):.3f}"
        )
    data.add(rows[chosen], said[chosen])
    say(f"{place}: labels {chosen.sum():,} of {len(rows):,} rows, those of which it is {options.threshold:g} sure")


def _check(run: Run, task: Task, place: str) -> None:
    """Raises where the teacher's answers are no labels here."""
    answer, other = task.answer, run.task()
    if answer.shape != "whole" or answer.centred:
        raise UserError(f"{place}: gives classes or labels, and this task asks for something else; leave it out")
    if type(other) is not type(task) or other.names() != task.names():
        raise UserError(
            f"{place}: answers another question ({', '.join(other.names())}); give a run of this task and these classes"
        )


def _ask(directory: Path, run: Run, config: Config, task: Task) -> None:
    """Writes what the teacher says of each row without label, and how sure it is."""
    chosen = choose(config.trainer)
    model = run.load_model().for_inference().to(chosen.device_type)
    loader = unlabelled_loader(run.data(config))
    rows: list[NDArray[Any]] = []
    answers: list[Tensor] = []
    for batch in loader.sample(ALL):
        with torch.inference_mode(), chosen.autocast():
            output = answered(model, batch.to(chosen.device_type), mirror=config.data.mirrors())
        rows.append(batch.ids.numpy())
        answers.append(output.answer.float().cpu())
    told = np.concatenate(rows).astype(np.uint32)
    order = np.argsort(told)
    said, sure = labels(torch.cat(answers)[torch.from_numpy(order)], task.answer)
    for file, values in ((ROWS, told[order]), (SAID, said.numpy()), (SURE, sure.numpy())):
        np.save(directory / file, values)


def labels(answers: Tensor, answer: AnswerSpec) -> tuple[Tensor, Tensor]:
    """(rows, width) -> what each says, as a class's number, (rows,), or as labels, (rows, width), and its chance.

    Of labels that of the one which is least sure counts.
    """
    if answer.exclusive:
        sure, said = answers.softmax(-1).max(-1)
        return said, sure
    chances = answers.sigmoid()
    return (chances > 0.5).to(torch.uint8), torch.maximum(chances, 1 - chances).amin(-1)


class Consistency:
    """Answers to two augmented views of a row without label are held together (Xie et al. 2020).

    The second view is to be answered as the first was, by the same weights, where that answer is sure enough. Rows are
    drawn by torch's generator, whose state checkpoints keep.
    """

    def __init__(
        self,
        options: SelfTrainingConfig,
        answer: AnswerSpec,
        loader: BatchLoader,
        augment: Callable[[Batch, int], Batch] | None,
    ) -> None:
        self._options, self._answer, self._loader = options, answer, loader
        self._augment = augment or (lambda batch, epoch: batch)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Consistency":
        """Itself: a copy of a learner, such as one that memory is estimated with, has no rows of its own."""
        return self

    def loss(self, model: Model, batch: Batch, epoch: int) -> Tensor:
        """How far apart the views of as many rows as are asked for beside `batch` are answered: a scalar, weighed."""
        count = min(max(round(len(batch) * self._options.ratio), 1), self._loader.examples)
        rows = self._loader.at(torch.randperm(self._loader.examples)[:count].numpy()).to(batch.ids.device)
        with torch.no_grad():
            held = model(self._augment(rows, epoch)).answer.float()
        _, sure = labels(held, self._answer)
        kept = sure >= self._options.threshold  # (rows,)
        said = model(self._augment(rows, epoch + 1)).answer.float()  # an image's mirror, if these were none
        # of all rows the mean, so that few sure ones count little
        apart = imitation(said[kept], held[kept], self._answer, 1.0) if kept.any() else 0 * said.sum()
        return self._options.consistency * apart * kept.float().mean()


def consistency(config: Config, data: Any, task: Task, augment: Any) -> Consistency | None:
    """What holds views together, where the config asks for it."""
    if not config.self_training.consistency:
        return None
    if task.answer.shape != "whole" or task.answer.centred:
        raise UserError("self_training.consistency: is for classes and labels; set it to 0")
    return Consistency(config.self_training, task.answer, unlabelled_loader(data), augment)


def unlabelled_loader(data: Any) -> BatchLoader:
    """Of the rows of train without labels, of which there must be some."""
    if data.config.labelled is None and data.config.on_bad_row == "fail":
        raise UserError(
            "self_training: every row has a label; set data.labelled=1000, or data.on_bad_row=skip where some have none"
        )
    found: BatchLoader = data.unlabelled().loader("train")
    return found
