"""Distillation: a model learns what another run answers, and where it looks, beside the labels (Hinton et al. 2015).

The teacher is asked once about every row of the train part; what it says is kept in the cache of prepared data.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from attnpred.config.options import Config
from attnpred.contracts import AnswerSpec, Attention, Batch, ModelOutput
from attnpred.data.labelled import labelling
from attnpred.data.splits import carving, source_split
from attnpred.errors import UserError
from attnpred.machine.device import choose
from attnpred.models.views import answered
from attnpred.runs.run import Run
from attnpred.tasks.base import Task
from attnpred.training.word_shares import WordShares, shares_on_words

VERSION = 1  # raised when the code makes other files of the same input
ANSWERS, REGIONS = "answers.npy", "regions.npy"
ALL = 2**62  # examples
LEAST = 1e-6  # a share below which a logarithm is cut


class Teacher:
    """What a teacher said of the rows of the train part, and how far a student is from it."""

    def __init__(self, config: Config, answer: AnswerSpec, directory: Path, reader: Any) -> None:
        self.options, self.answer = config.model, answer
        self.answers = torch.from_numpy(np.load(directory / ANSWERS, allow_pickle=False))  # (rows, width)
        self.words: WordShares | None = None
        self.regions: Tensor | None = None  # (rows, 1, rows of regions, columns)
        if config.model.teacher_attention and config.data.modality == "text":
            self.words = WordShares(directory, reader)
        elif config.model.teacher_attention:
            self.regions = torch.from_numpy(np.load(directory / REGIONS, allow_pickle=False))

    def __deepcopy__(self, memo: Any) -> "Teacher":
        """Itself: nothing in it changes, and it may be large."""
        return self

    @property
    def looks(self) -> bool:
        """True where the student's attention is needed."""
        return self.words is not None or self.regions is not None

    def loss(self, own: Tensor, output: ModelOutput, batch: Batch) -> Tensor:
        """The student's objective, a scalar: `own` is that of the labels."""
        options, ids = self.options, batch.ids.tolist()
        said = self.answers[ids].to(output.answer.device)
        apart = imitation(output.answer.float(), said, self.answer, options.temperature)
        loss = (1 - options.teacher_weight) * own + options.teacher_weight * apart
        if not self.looks:
            return loss
        assert output.attention is not None
        return loss + options.teacher_attention * self._elsewhere(output.attention, ids)

    def _elsewhere(self, attention: Attention, ids: list[int]) -> Tensor:
        """How far the student's attention lies from the teacher's: the divergence, averaged over examples."""
        own = attention.importance  # (batch, parts)
        if self.words is not None:
            looked = self.words.on_parts(ids, own.shape[1]).to(own.device)
        else:
            assert self.regions is not None
            (grid,) = attention.grids
            looked = F.adaptive_avg_pool2d(self.regions[ids].to(own.device), grid or (1, own.shape[1])).flatten(1)
            looked = looked / looked.sum(1, keepdim=True).clamp(min=LEAST)
        apart = looked * (looked.clamp(min=LEAST).log() - own.clamp(min=LEAST).log())
        return apart.sum(1).mean()


def imitation(answer: Tensor, said: Tensor, spec: AnswerSpec, temperature: float) -> Tensor:
    """How far a student's answers are from a teacher's, (batch, width) each; a scalar.

    Classes compete: the divergence of their chances at the temperature, in the scale of a cross-entropy. Labels do not:
    each one's own cross-entropy. Numbers: their squared distance.
    """
    if spec.exclusive:
        chances = (answer / temperature).log_softmax(1), (said / temperature).log_softmax(1)
        return temperature**2 * F.kl_div(*chances, reduction="batchmean", log_target=True)
    if spec.centred:
        return F.mse_loss(answer, said)
    return temperature**2 * F.binary_cross_entropy_with_logits(answer / temperature, (said / temperature).sigmoid())


def teacher_of(config: Config, data: Any, task: Task) -> Teacher | None:
    """The teacher that the config names, its answers ready; None where it names none."""
    name = config.model.teacher
    if name is None:
        return None
    run = Run.find(name)
    _check(config, run, task, name)
    split, option = source_split(config.data, "train")
    looks = bool(config.model.teacher_attention)
    key = {
        "version": VERSION,
        "teacher": hashlib.blake2b(run.checkpoint().read_bytes(), digest_size=16).hexdigest(),
        "carving": carving(config.data) | labelling(config.data),
        "attention": looks,
        **({"tokenizer": data.reader.vocabulary.fingerprint} if looks and config.data.modality == "text" else {}),
        **data._key(),
    }

    def build(directory: Path) -> None:
        with isolate_rng():  # so that training is the same whether the answers were there or not
            _ask(directory, run, config, data)

    what = f"what {name} answers on split {split}"
    place = data._entry("teacher", (split, option), data._all_columns(), key, what, build)
    return Teacher(config, task.answer, place, data.reader)


def _check(config: Config, run: Run, task: Task, name: str) -> None:
    """Raises where the teacher's answers are no answers to the student's question."""
    place = f"model.teacher={name}"
    if task.answer.shape != "whole":
        raise UserError(f"{place}: teaches one answer an example, and this task asks for several; leave it out")
    if config.data.streams():
        raise UserError(f"{place}: is asked about prepared rows; set data.stream=false")
    changes = getattr(config.data, "augment", None)
    if getattr(changes, "mixup", 0) or getattr(changes, "cutmix", 0):
        raise UserError(f"{place}: knows no mixed images; set data.augment.mixup=0 and data.augment.cutmix=0")
    other = run.task()
    if type(other) is not type(task) or other.names() != task.names() or other.answer.width != task.answer.width:
        known = ", ".join(other.names()) or f"{other.answer.width} numbers"
        raise UserError(f"{place}: answers another question ({known}); give a run of this task and these classes")
    if run.reader().spec.modality != config.data.modality:
        raise UserError(f"{place}: reads {run.reader().spec.modality}, the dataset holds {config.data.modality}")
    if config.model.teacher_attention and config.data.modality not in ("text", "image"):
        raise UserError("model.teacher_attention: is for texts and images; set it to 0")


def _ask(directory: Path, run: Run, config: Config, data: Any) -> None:
    """Writes the teacher's answers on all rows of the train part, and on what they rest."""
    chosen = choose(config.trainer)
    model = run.load_model().for_inference().to(chosen.device_type)
    looks, texts = bool(config.model.teacher_attention), config.data.modality == "text"
    taught = run.data(config)
    rows = len(data._store("train").targets.values)
    answers = np.full((rows, model.spec.answer.width), np.nan, np.float32)
    regions: NDArray[Any] | None = None
    found: dict[int, Any] = {}  # of texts, the words' shares
    for batch, describe in _batches(taught, data, config, by_words=looks and texts):
        with torch.inference_mode(), chosen.autocast():
            output = answered(model, batch.to(chosen.device_type), mirror=config.data.mirrors(), need_attention=looks)
        ids = batch.ids.numpy()
        answers[ids] = output.answer.float().cpu().numpy()
        if output.attention is None:
            continue
        if describe is not None:
            found.update(zip(ids.tolist(), shares_on_words(describe(output.attention)), strict=True))
            continue
        (grid,) = output.attention.grids
        assert grid is not None
        regions = np.zeros((rows, 1, *grid), np.float32) if regions is None else regions
        regions[ids] = output.attention.importance.float().cpu().unflatten(1, (1, *grid)).numpy()
    np.save(directory / ANSWERS, answers)
    if regions is not None:
        np.save(directory / REGIONS, regions)
    if looks and texts:
        WordShares.write(directory, found, _texts(data, set(found)), data.reader, rows)


def _batches(taught: Any, data: Any, config: Config, *, by_words: bool) -> Iterator[tuple[Batch, Any]]:
    """Batches of the train part as the teacher reads them; with `by_words`, what tells the words of each."""
    if not by_words:
        for batch in taught.loader("train").sample(ALL):
            yield batch, None
        return
    wanted = set(data._rows_of("train")[1].tolist())
    numbers: list[int] = []

    def inputs() -> Iterator[Any]:
        for number, row in _texts(data, wanted):
            numbers.append(number)
            yield row[0] if len(row) == 1 else dict(zip(taught.reader.spec.names, row, strict=True))

    for reading in taught.reader.readings(inputs(), config.data.eval_batch_size):
        ids = torch.tensor([numbers[place] for place in reading.batch.ids.tolist()])
        yield Batch(inputs=reading.batch.inputs, targets={}, ids=ids), reading.describe


def _texts(data: Any, wanted: set[int]) -> Iterator[tuple[int, list[str]]]:
    """The texts of these rows of the source's train split, with their numbers, in its order."""
    split = source_split(data.config, "train")
    start = 0
    for columns, _, _, _ in data._rows(*split, data._columns(), data.reader.strip_html):
        for place, row in enumerate(zip(*columns, strict=True), start):
            if place in wanted:
                yield place, list(row)
        start += len(columns[0])
