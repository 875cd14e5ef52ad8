"""Pictures for TensorBoard: what the task draws of the test split, and some examples under their attention."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from attnpred.contracts import Attention, Batch
from attnpred.machine.device import Chosen
from attnpred.modalities.reader import Reader
from attnpred.pages.alignments import below_one_another, matrix
from attnpred.pages.pictures import Caption
from attnpred.runs import loggers
from attnpred.tasks.answer_words import by_word
from attnpred.tasks.base import Summary
from attnpred.training.learner import Learner

EXAMPLES = 8  # of each split


class Drawings(Callback):
    """Draws the same examples before training, after validations 1, 2, 4, 8 and so on, and others after the test.

    The main process does it. A validation draws the weights that were validated, the test those kept. What the task
    wants to be kept is in the run's directory too.
    """

    def __init__(
        self, reader: Reader[Any, Any], chosen: Chosen, directory: Path, examples: Mapping[str, list[Batch]]
    ) -> None:
        self.reader = reader
        self.chosen = chosen
        self.directory = directory
        self.batches = examples  # of each split; none where nothing draws them
        self.validations = 0

    def state_dict(self) -> dict[str, Any]:
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.validations = state_dict["validations"]

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        if trainer.global_step == 0:
            self._draw(trainer, learner, "val")

    # before what happens at the end of a validation: an average of the weights is exchanged for them there
    def on_validation_epoch_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self.validations += 1
        if self.validations.bit_count() == 1:
            self._draw(trainer, learner, "val")

    def on_test_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if not trainer.is_global_zero or not isinstance(learner, Learner):
            return
        task, writing = learner.task, loggers.tensorboard(trainer.loggers) is not None
        drawn = task.pictures(learner.details["test"]) if writing or task.kept_pictures else {}
        for name in task.kept_pictures:
            if name in drawn:
                Image.fromarray(drawn[name]).save(self.directory / f"{name}.png")
        self._draw(trainer, learner, "test", drawn)

    def _draw(self, trainer: Trainer, learner: LightningModule, split: str, drawn: Mapping[str, Any] = {}) -> None:
        """The split's examples, and what else was `drawn`."""
        writer = loggers.tensorboard(trainer.loggers) if trainer.is_global_zero else None
        if writer is None or not isinstance(learner, Learner):
            return
        drawn = {**drawn, **self._examples(learner, self.batches[split])}
        for name, picture in drawn.items():
            writer.add_image(f"{split}/{name}", picture, trainer.global_step, dataformats="HWC")

    def _examples(self, learner: Learner, batches: list[Batch]) -> dict[str, Any]:
        model, training = learner.model, learner.training
        model.eval()
        shown: list[dict[str, Any]] = []
        maps: list[Any] = []
        captions: list[Caption] = []
        matrices: list[Image.Image] = []
        for held in batches:
            batch = held.to(learner.device)
            with torch.inference_mode(), self.chosen.autocast():
                output = learner(batch, need_attention=True, need_layers=False)
            found = learner.task.summaries(output, learner.task.choose(output), batch)
            captions += [Caption(one.true, one.predicted, one.confidence, one.wrong) for one in found]
            describe = self.reader.describe(self.reader.of(batch))
            shown += self.reader.shown(self.reader.of(batch), output.attention, describe)
            importance = output.attention.importance.float().cpu()
            maps += self.reader.maps(self.reader.of(batch), importance, output.attention, describe)
            if output.attention.steps is not None:
                matrices += self._matrices(output.attention, batch, found, shown[-len(batch) :])
        model.train(training)
        pictures = {"examples": self.reader.draw(shown, maps, captions)}
        return {**pictures, "alignment": below_one_another(matrices)} if matrices else pictures

    def _matrices(
        self, attention: Attention, batch: Batch, found: list[Summary], shown: list[dict[str, Any]]
    ) -> list[Image.Image]:
        """Of answers that are texts, each one's alignment."""
        assert attention.steps is not None
        read = self.reader.of(batch)
        describe = self.reader.describe(read)
        steps = [self.reader.maps(read, one, attention, describe) for one in attention.steps.cpu().unbind(1)]
        drawn = []
        for row, one in enumerate(found):
            made = one.described["made"]
            rows = by_word([step[row] for step in steps], made)
            drawn.append(matrix(shown[row]["words"], {"words": [each["word"] for each in made], "rows": rows}))
        return drawn
