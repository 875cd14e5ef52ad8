"""Pictures for TensorBoard: what the task draws of the test split, and some examples under their attention."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from attnpred.contracts import Batch
from attnpred.machine.device import Chosen
from attnpred.modalities.reader import Reader
from attnpred.pages.pictures import Caption
from attnpred.runs import loggers
from attnpred.training.learner import Learner

EXAMPLES = 8


class Drawings(Callback):
    """Draws after every test, on the main process; the examples are the first of the split's loader."""

    def __init__(self, reader: Reader[Any, Any], chosen: Chosen) -> None:
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
        drawn = {f"test/{name}": found for name, found in learner.task.pictures(learner.details["test"]).items()}
        drawn["test/examples"] = self._examples(learner)
        for name, picture in drawn.items():
            writer.add_image(name, picture, trainer.global_step, dataformats="HWC")

    def _examples(self, learner: Learner) -> Any:
        count = min(EXAMPLES, len(self.batch))
        batch = self.batch.rows(torch.arange(count, device=self.batch.ids.device))
        with torch.inference_mode(), self.chosen.autocast():
            output = learner(batch, need_attention=True, need_layers=False)
        found = learner.task.summaries(output, learner.task.choose(output), batch)
        captions = [Caption(one.true, one.predicted, one.confidence, one.wrong) for one in found]
        describe = self.reader.describe(batch.input)
        shown = self.reader.shown(batch.input, output.attention, describe)
        maps = self.reader.maps(batch.input, output.attention.importance.float().cpu(), output.attention, describe)
        return self.reader.draw(shown, maps, captions)
