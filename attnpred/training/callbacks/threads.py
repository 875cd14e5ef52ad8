"""Follows how busy other programs keep the cores: training takes fewer threads beside them, and more again later."""

import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from attnpred.console.say import say
from attnpred.machine import threads
from attnpred.runs.run import Run

SECONDS = 3.0  # between two looks at the load


class Threads(Callback):
    """Changes the number of threads once two looks in a row agree on another, and keeps when it did in run.json."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.load = threads.Load()
        self.looked = time.monotonic()
        self.wanted: int | None = None  # by the last look

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        say(f"threads: {torch.get_num_threads()} of {threads.most()}")
        self._keep(trainer.global_step)

    def on_train_batch_start(self, trainer: Trainer, learner: LightningModule, batch: Any, batch_idx: int) -> None:
        now = time.monotonic()
        if now - self.looked < SECONDS:
            return
        self.looked = now
        self.follow(self.load.others(), trainer.global_step)

    def follow(self, others: float | None, step: int) -> None:
        """Takes the number that fits beside `others`, where the last look found the same."""
        current = torch.get_num_threads()
        number = threads.fitting(threads.most(), others, current)
        if number != current and number == self.wanted:
            torch.set_num_threads(number)
            say(f"threads: {number} from step {step} on; other programs keep {others:.1f} cores busy")
            self._keep(step)
        self.wanted = number

    def _keep(self, step: int) -> None:
        kept = self.run.description().get("threads", [])
        self.run.describe(threads=[*kept, {"step": step, "threads": torch.get_num_threads()}])
