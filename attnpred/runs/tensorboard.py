"""The curves in TensorBoard: what explanations reach beside what chance does, in the same charts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from attnpred.files import named
from attnpred.runs import events

OF_CHANCE = "_random"  # end of a metric's name


class TensorBoard(TensorBoardLogger):
    """Events of a run. `attention/X_random` is drawn as the curve `attention/X` of a run `random` below it."""

    def __init__(self, run: Path) -> None:
        super().__init__(events.place(run), name="", version="", default_hp_metric=False)

    @cached_property
    def _chance(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(Path(self.log_dir) / events.CHANCE))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        chance = {name for name in metrics if name.startswith("attention/") and name.endswith(OF_CHANCE)}
        with _told(Path(self.log_dir)):
            super().log_metrics({name: value for name, value in metrics.items() if name not in chance}, step)
            for name in sorted(chance):
                self._chance.add_scalar(name.removesuffix(OF_CHANCE), metrics[name], step)

    def save(self) -> None:
        """Nothing but events: config.yaml holds what was chosen."""

    def flush(self) -> None:
        self.experiment.flush()
        if "_chance" in self.__dict__:
            self._chance.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        super().finalize(status)
        if "_chance" in self.__dict__:
            self._chance.close()


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Has an error of the disk be one that names the place; Lightning makes it one of a value that cannot be logged."""
    with named(place):
        try:
            yield
        except ValueError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
