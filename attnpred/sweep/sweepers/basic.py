"""Every combination of the values that are swept over, in the order in which Hydra's own sweeper runs them."""

from dataclasses import dataclass

from attnpred.config import compose
from attnpred.config.options import Config, SweeperConfig
from attnpred.sweep.job import Job
from attnpred.sweep.state import Direction, Sweep


@dataclass(kw_only=True)
class BasicConfig(SweeperConfig):
    pass


class Basic:
    def __init__(self, config: BasicConfig, overrides: list[str], extra_dir: str | None) -> None:
        """Checks the config of every job there will be."""
        self.config = config
        self.combinations = list(compose.expand(overrides))
        configs = [compose.compose(combination, extra_dir) for combination in self.combinations]
        self.first: Config = configs[0]
        self.devices = [config.trainer.devices for config in configs]

    def objective(self) -> dict[str, Direction]:
        """By what each job chooses its best weights."""
        selection = self.first.checkpoint
        return {selection.metric: "maximize" if selection.direction == "max" else "minimize"}

    def begin(self, sweep: Sweep) -> None:
        self.sweep = sweep
        if not sweep.jobs:
            for combination, devices in zip(self.combinations, self.devices, strict=True):
                sweep.add(combination, devices=devices if isinstance(devices, int) else None)
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
