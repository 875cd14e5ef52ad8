"""SIGINT and SIGTERM: finish the step in progress, save, leave. SIGUSR1: save, go on; SLURM requeues the job then."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from lightning_fabric.plugins.environments import SLURMEnvironment
from pytorch_lightning import Callback, LightningModule, Trainer

from attnpred.console.say import say
from attnpred.errors import Interrupted
from attnpred.runs import checkpoint_files
from attnpred.training.callbacks.checkpoints import Checkpoints

AGREE_STEPS, AGREE_SECONDS = 10, 2.0  # between two times that ranks agree, whichever is less
SAME = 1.0  # seconds in which a signal that comes again is the same: ranks get it from the terminal and from torchrun


class Signals(Callback):
    """Saves `last.ckpt` after the step in which the signal came; a second SIGINT leaves at once."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self.received: int | None = None
        self.received_time = 0.0
        self.save_asked = False
        self.ranks = 1
        self.step = 0
        self.wait, self.waited = 1, 0  # steps until ranks agree
        self.agreed_time = 0.0
        self.previous: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self.step, self.ranks = trainer.global_step, trainer.world_size
        self.agreed_time = time.monotonic()
        # Lightning has set its own by now; these take their place until the run ends
        self.previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        if hasattr(signal, "SIGUSR1"):
            self.previous[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._note_save)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self.received_time = number, now
        elif self.ranks == 1 or now - self.received_time > SAME:
            raise Interrupted(number)

    def _note_save(self, number: int, frame: FrameType | None) -> None:
        self.save_asked = True

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            return  # gradients that are still being gathered for a step would be lost
        self.step = trainer.global_step
        may_save = self.checkpoints.may_save(trainer, batch_idx)
        leave, save = self._asked(trainer)
        if (leave or save) and may_save:
            if leave and trainer.is_global_zero:
                say("stopping: saving first; Ctrl-C once more leaves at once")
            self.checkpoints.save_last(trainer)
        if leave:
            raise Interrupted(self.received or signal.SIGTERM)
        if save and may_save:
            self.save_asked = False
            if SLURMEnvironment.detect():
                self._begin_again(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        learner: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._asked(trainer)[0]:
            raise Interrupted(self.received or signal.SIGTERM)

    def _asked(self, trainer: Trainer) -> tuple[bool, bool]:
        """Whether to leave, and whether to save: on all ranks at the same step, or those that go on wait for ever."""
        own = self.received is not None, self.save_asked
        if trainer.world_size == 1:
            return own
        self.waited += 1
        if self.waited < self.wait:
            return False, False
        seconds = (time.monotonic() - self.agreed_time) / self.waited
        told = torch.tensor([*map(float, own), seconds], device=trainer.strategy.root_device)
        leave, save, seconds = trainer.strategy.reduce(told, reduce_op="max").tolist()
        self.wait, self.waited = max(1, min(AGREE_STEPS, int(AGREE_SECONDS / max(seconds, 1e-6)))), 0
        self.agreed_time = time.monotonic()
        return bool(leave), bool(save)

    def _begin_again(self, trainer: Trainer) -> None:
        """Has Lightning put the job back into SLURM's queue. What it saves for that lies in `last.ckpt` already."""
        trainer._signal_connector._slurm_sigusr_handler_fn(signal.SIGUSR1, None)  # type: ignore[arg-type]
        if trainer.is_global_zero:
            checkpoint_files.tidy(self.checkpoints.directory)

    def teardown(self, trainer: Trainer, learner: LightningModule, stage: str) -> None:
        self._give_back()

    def on_exception(self, trainer: Trainer, learner: LightningModule, exception: BaseException) -> None:
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}


def asked_to_leave(error: BaseException | None) -> int | None:
    """The signal behind an error: libraries turn an interrupt into errors of their own, or into an exit."""
    while error is not None:
        if isinstance(error, Interrupted):
            return error.signal_number
        if isinstance(error, KeyboardInterrupt):
            return signal.SIGINT
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


@contextmanager
def unheard() -> Iterator[None]:
    """While it is written down how a run ended, which takes a moment, no further signal is heard."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def in_order() -> Iterator[None]:
    """Outside of training, too, a termination cleans up behind itself, and is written down as one.

    There is nothing to save there: who asks for that is not heard.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    previous = {signal.SIGTERM: signal.signal(signal.SIGTERM, leave)}
    if hasattr(signal, "SIGUSR1"):
        previous[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
