"""Every combination of the values that are swept over, in the order in which Hydra's own sweeper runs them."""

from dataclasses import dataclass

from attnpred.config import compose
from attnpred.config import overrides as overriding
from attnpred.config.options import Config, SweeperConfig
from attnpred.sweep.job import Job
from attnpred.sweep.kept import kept, lost
from attnpred.sweep.state import Direction, Sweep


@dataclass(kw_only=True)
class BasicConfig(SweeperConfig):
    pass


class Basic:
    def __init__(self, config: BasicConfig, overrides: list[str], extra_dir: str | None) -> None:
        """Checks the config of every job there will be."""
        self.config = config
        self.combinations = list(overriding.expand(overrides))
        self.first: Config = compose.compose(self.combinations[0], extra_dir)
        others = (compose.compose(combination, extra_dir).trainer.devices for combination in self.combinations[1:])
        self.devices = [self.first.trainer.devices, *others]

    def objective(self) -> dict[str, Direction]:
        """By what each job chooses its best weights."""
        selection = self.first.checkpoint
        return {selection.metric: "maximize" if selection.direction == "max" else "minimize"}

    def begin(self, sweep: Sweep) -> None:
        self.sweep = sweep
        if not sweep.jobs:
            for combination, devices in zip(self.combinations, self.devices, strict=True):
                sweep.add(combination, devices=devices if isinstance(devices, int) else None)
        for job, combination in zip(sweep.jobs, self.combinations, strict=False):
            if any(map(lost, job.overrides)) and kept(combination) == kept(job.overrides):
                job.overrides = combination  # with the secrets that the sweep's file has not
        self.waiting = iter(sweep.unsettled())

    def next(self) -> Job | None:
        return next(self.waiting, None)

    def watch(self, job: Job) -> None:
        pass

    def ended(self, job: Job) -> None:
        pass

    def total(self) -> int:
        return len(self.sweep.jobs)

    def close(self) -> None:
        pass
