"""Pictures for TensorBoard: the confusion matrix and some examples with the attention behind their labels."""

from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from attnpred.contracts import Attention, Batch, ImageBatch, ModelOutput
from attnpred.machine.device import Chosen
from attnpred.modalities.image.data import ImageReader
from attnpred.modalities.text.reader import TextReader
from attnpred.pages import pictures
from attnpred.runs import loggers
from attnpred.training.learner import Learner

EXAMPLES = 8


class Gallery(Callback):
    """Draws after every test, on the main process; the examples are the first of the split's loader."""

    def __init__(self, reader: TextReader | ImageReader, chosen: Chosen) -> None:
        self.reader = reader
        self.chosen = chosen
        self.batch: Any = None

    def on_test_batch_end(
        self,
        trainer: Trainer,
        learner: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0:
            self.batch = batch

    def on_test_end(self, trainer: Trainer, learner: LightningModule) -> None:
        writer = loggers.tensorboard(trainer.loggers) if trainer.is_global_zero else None
        if writer is None or not isinstance(learner, Learner):
            return
        step, classes = trainer.global_step, self.reader.spec.classes
        counts = np.array(learner.details["test"]["confusion"])
        writer.add_image("test/confusion", pictures.confusion_matrix(counts, classes), step, dataformats="HWC")
        with torch.inference_mode(), self.chosen.autocast():
            output = learner(self.batch, need_attention=True, need_layers=False)
        writer.add_image("test/examples", self._draw(self.batch, output), step, dataformats="HWC")

    def _draw(self, batch: Any, output: ModelOutput) -> np.ndarray:
        assert output.attention is not None
        probabilities = output.logits.float().softmax(1)  # (batch, classes)
        certainty, predicted = (t[:EXAMPLES].tolist() for t in probabilities.max(1))
        names = self.reader.spec.classes
        captions = [
            pictures.Caption(names[label], names[guess], sure)
            for label, guess, sure in zip(batch.labels[:EXAMPLES].tolist(), predicted, certainty, strict=True)
        ]
        importance = output.attention.importance[:EXAMPLES].float().cpu().numpy()  # (examples, parts)
        if isinstance(batch, ImageBatch):
            assert output.attention.grid is not None
            pixels = batch.pixels[:EXAMPLES].to(torch.uint8).cpu().numpy()
            return pictures.image_grid(pixels, importance, output.attention.grid, captions)
        assert isinstance(self.reader, TextReader)
        explain = self.reader.describe(batch.rows(torch.arange(len(captions))))
        spelt = list(explain(Attention(output.attention.importance[:EXAMPLES].float())))
        return pictures.text_examples([s["words"] for s in spelt], [s["attention"] for s in spelt], captions)
