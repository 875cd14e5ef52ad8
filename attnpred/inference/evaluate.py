"""Metrics of a trained run on a split, with the tokenizer, the statistics and the weights that the run keeps."""

from typing import Any, Literal

import pytorch_lightning as lightning

from attnpred.config.options import Config
from attnpred.machine.device import choose
from attnpred.runs.run import Run
from attnpred.tasks.base import Task
from attnpred.training.callbacks.monitor import measured
from attnpred.training.learner import Learner


def evaluate(run: Run, config: Config, split: Literal["val", "test"], task: Task) -> dict[str, Any]:
    """Scalars and details of the split by the run's `task`; on one device, since one pass needs no more."""
    chosen = choose(config.trainer)
    data = run.data(config)
    learner = Learner(run.load_model(), task, mirror=config.data.mirrors())
    trainer = lightning.Trainer(
        accelerator=chosen.accelerator,
        devices=1,
        precision=chosen.precision,  # type: ignore[arg-type]
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_test_batches=config.trainer.limit_batches,
        limit_val_batches=config.trainer.limit_batches,
    )
    measure = trainer.validate if split == "val" else trainer.test
    measure(learner, data.loader(split), verbose=False)
    scalars = {name.partition("/")[2]: value for name, value in measured(trainer, split).items()}
    return {**scalars, **learner.details[split]}
