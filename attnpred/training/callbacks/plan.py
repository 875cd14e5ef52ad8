"""How many optimizer steps a run is going to take, in its run.json: how far it is can then be told from outside."""

from pytorch_lightning import Callback, LightningModule, Trainer

from attnpred.runs.run import Run


class Plan(Callback):
    def __init__(self, run: Run) -> None:
        self.run = run

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        steps = trainer.estimated_stepping_batches
        if trainer.is_global_zero and 0 < steps < float("inf"):
            self.run.describe(planned_steps=int(steps))
