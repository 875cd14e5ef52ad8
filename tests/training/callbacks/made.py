"""A small training, without a run directory."""

from itertools import islice

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import Checkpoint

from attnpred.config import compose
from attnpred.tasks.classification import Classification
from attnpred.training.learner import Learner
from tests.models.made import CLASSES, IMAGE, image_batch, make_model

ALONE = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


class Batches:
    """The same few batches in every epoch."""

    def __init__(self, count):
        self.batches = [image_batch(4) for _ in range(count)]

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return islice(self.batches, len(self.batches))

    def set_epoch(self, epoch):
        pass


def small_learner(config):
    task = Classification(config.task, CLASSES["image"])
    return Learner(make_model("resnet_attention", IMAGE), task, config.optimizer)


def fit(callbacks, *, epochs, batches, accumulate=1, resume=None, overrides=(), learner=None):
    """The weights at first, the trainer and the learner, after training."""
    config = compose.compose(["optimizer.lr=0.1", "optimizer.schedule=constant", "optimizer.warmup=0", *overrides])
    if learner is None:
        lightning.seed_everything(0, verbose=False)
        learner = small_learner(config)
    learner.train()
    start = {name: value.clone() for name, value in learner.model.state_dict().items()}
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        accumulate_grad_batches=accumulate,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        **ALONE,
    )
    trainer.fit(learner, Batches(batches), Batches(1), ckpt_path=resume, weights_only=True)
    return start, trainer, learner
