"""A point in a process of its own: the training step of a run, on one made batch again and again."""

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytorch_lightning as lightning
import torch

from attnpred.config import compose, schema
from attnpred.contracts import Batch, Input, InputSpec, ModelSpec
from attnpred.data.class_target import Classes
from attnpred.machine.device import choose
from attnpred.machine.process_setup import settle
from attnpred.modalities.image.augment import Augment
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.training import ddp
from attnpred.training.learner import Learner
from scripts.bench import growth_peak, timing

FEWEST_STEPS = 3
OFF = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
SHORTEST = 50  # tokens of the text that comes first: enough for attention to go the way of long texts
IMAGES = ImageSpec(channels=3, height=32, width=32, mean=(120.0,) * 3, std=(60.0,) * 3)
WORDS = 16_000
OBJECTS, OPINIONS = Classes(classes=tuple("abcdefghij")), Classes(classes=("bad", "good"))  # of images, of texts


def step(
    directory: str,
    *,
    model: str,
    width: int,
    depth: int,
    batch: int,
    seconds: float,
    length: int | None = None,
    padded: bool = False,
) -> dict[str, float]:
    """A step on texts of `length` tokens, or on images where there is none, the median of `seconds` of them.

    `padded` texts come with a mask, their own lengths lying between half of it and all.
    """
    settle()
    data = "cifar10" if length is None else "imdb"
    config: Any = compose.compose([f"model={model}", f"model.width={width}", f"model.depth={depth}", f"data={data}"])
    chosen = choose(config.trainer)
    lightning.seed_everything(config.seed, verbose=False)
    spec: InputSpec = IMAGES
    made: Callable[[int, int], Batch] = images
    if length is not None:
        spec = TextSpec(vocab_size=WORDS, max_length=max(length, SHORTEST), pad_id=0, mask_id=0)
        made = partial(texts, padded=padded)
    task = schema.load(config.task._target_)(config.task, OBJECTS if length is None else OPINIONS)
    learner = Learner(
        schema.load(config.model._target_)(config.model, ModelSpec({spec.modality: spec}, task.answer)),
        task,
        config.optimizer,
        Augment(config.data.augment, IMAGES, config.trainer.max_epochs) if length is None else None,
    )
    watch = Watch(seconds)
    off: dict[str, Any] = dict.fromkeys(OFF, False)
    trainer = lightning.Trainer(
        accelerator=chosen.accelerator,
        devices=1,
        precision=chosen.precision,  # type: ignore[arg-type]
        max_steps=10**9,
        max_epochs=1,
        gradient_clip_val=config.trainer.clip_norm,
        callbacks=[watch],
        **off,
    )
    trainer.fit(learner, Repeated(made(1, SHORTEST), made(batch, length or 0), watch))
    return {
        "seconds": statistics.median(watch.durations),
        "backward_seconds": statistics.median(watch.backwards[2:]),
        "steps": len(watch.durations),
        "bytes": growth_peak.added(watch.before),
        "parameters": sum(p.numel() for p in learner.parameters()),
        "bucket_bytes": ddp.bucket_bytes(learner),
    }


def texts(count: int, length: int, *, padded: bool) -> Batch:
    tokens = torch.randint(2, WORDS, (count, length))
    lengths = torch.full((count,), length)
    if padded:
        lengths = torch.linspace(length // 2, length, count).long()
        tokens.masked_fill_(torch.arange(length) >= lengths[:, None], 0)
    return labelled("text", TextInput(tokens=tokens, lengths=lengths, padded=padded), OPINIONS)


def images(count: int, _: int) -> Batch:
    pixels = torch.randint(0, 256, (count, IMAGES.channels, IMAGES.height, IMAGES.width), dtype=torch.uint8)
    return labelled("image", ImageInput(pixels=pixels), OBJECTS)


def labelled(name: str, found: Input, target: Classes) -> Batch:
    """Examples of all classes in turn."""
    ids = torch.arange(len(found))
    return Batch(inputs={name: found}, targets={"label": ids % len(target.classes)}, ids=ids)


class Watch(lightning.Callback):
    """Step 1 is the smallest and step 2 warms up; those that follow are timed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.before = 0.0
        self.ends: list[float] = []
        self.backwards: list[float] = []

    @property
    def durations(self) -> list[float]:
        return [end - start for start, end in zip(self.ends[1:], self.ends[2:], strict=False)]

    @property
    def enough(self) -> bool:
        durations = self.durations
        return len(durations) >= FEWEST_STEPS and sum(durations) >= self.seconds

    def on_before_backward(self, *_: Any) -> None:
        self.backwards.append(-timing.now())

    def on_after_backward(self, *_: Any) -> None:
        self.backwards[-1] += timing.now()

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append(timing.now())
        if len(self.ends) == 1:
            self.before = growth_peak.before()


class Repeated:
    """The smallest batch once, and the whole one until it was watched for long enough."""

    def __init__(self, smallest: Batch, whole: Batch, watch: Watch) -> None:
        self.smallest, self.whole, self.watch = smallest, whole, watch

    def set_epoch(self, epoch: int) -> None: ...

    def __iter__(self) -> Iterator[Batch]:
        yield self.smallest
        while not self.watch.enough:
            yield self.whole
