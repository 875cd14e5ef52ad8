"""Pictures for TensorBoard: what the task draws of the test split, and some examples under their attention."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer

from attnpred.contracts import Batch
from attnpred.machine.device import Chosen
from attnpred.modalities.reader import Reader
from attnpred.pages.pictures import Caption
from attnpred.runs import loggers
from attnpred.training.learner import Learner

EXAMPLES = 8


class Drawings(Callback):
    """Draws after every test, on the main process; the examples are the first of the split's loader.

    What the task wants to be kept is in the run's directory too.
    """

    def __init__(self, reader: Reader[Any, Any], chosen: Chosen, directory: Path) -> None:
        self.reader = reader
        self.chosen = chosen
        self.directory = directory
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
        if not trainer.is_global_zero or not isinstance(learner, Learner):
            return
        writer = loggers.tensorboard(trainer.loggers)
        task = learner.task
        drawn = task.pictures(learner.details["test"]) if writer is not None or task.kept_pictures else {}
        for name in task.kept_pictures:
            if name in drawn:
                Image.fromarray(drawn[name]).save(self.directory / f"{name}.png")
        if writer is None:
            return
        drawn["examples"] = self._examples(learner)
        for name, picture in drawn.items():
            writer.add_image(f"test/{name}", picture, trainer.global_step, dataformats="HWC")

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
