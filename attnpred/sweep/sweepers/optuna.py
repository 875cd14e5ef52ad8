"""A search by Optuna, which draws each job's values from what earlier ones reached."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from attnpred.config.options import Config, SweeperConfig
from attnpred.config.schema import Invalid, option
from attnpred.errors import NotInstalled, UserError
from attnpred.runs.run import PRUNE
from attnpred.sweep import space
from attnpred.sweep.job import Job
from attnpred.sweep.search import Search
from attnpred.sweep.state import Direction, Sweep
from attnpred.sweep.study import Place

OBJECTIVE = "hydra.sweeper.objective"
TRUST = ("attention/comprehensiveness", "attention/sufficiency")
COSTS = ("seconds", "steps", "epochs", "parameters", "peak_memory_gib", "examples_per_second", "tokens_per_second")


@dataclass(kw_only=True)
class OptunaConfig(SweeperConfig):
    n_trials: int | None = option(
        "Trials in all, of every worker of the study; null takes every combination, of a grid.", ge=1
    )
    sampler: Literal["tpe", "cmaes", "nsga2", "grid", "random", "qmc"] = option("How values are drawn.")
    startup_trials: int = option("Trials at the beginning that are drawn, and judged, without regard to others.", ge=0)
    seed: int | None = option("Seed of the drawing; null takes the experiment's.", ge=0, le=2**31)
    objective: str | list[str] | None = option(
        "What makes a trial good: val/NAME, attention/NAME, or a cost, such as seconds; several make a compromise. "
        "Null takes checkpoint.monitor."
    )
    direction: Literal["minimize", "maximize"] | list[Literal["minimize", "maximize"]] | None = option(
        "Whether less or more of it is better; null knows it for checkpoint.monitor."
    )
    pruner: Literal["none", "median", "hyperband", "patient"] = option("What ends trials that promise little.")
    warmup: int = option("Validations of a trial before it may be ended.", ge=1)
    patience: int = option("Validations without improvement after which patient ends a trial.", ge=1)
    storage: str | None = option(
        "Where trials are kept: memory, sqlite:///FILE, journal:///FILE, postgresql://…; null is a journal in the "
        "sweep's directory."
    )
    study_name: str | None = option("Name of the study; workers that give the same share its trials.")

    def check(self) -> None:
        if self.n_trials is None and self.sampler != "grid":
            raise Invalid("n_trials", "of a grid only the number of trials is known; say how many")
        if isinstance(self.objective, list) and len(self.objective) > 1:
            if self.pruner != "none":
                raise Invalid("pruner", "with several objectives no trial can be ended early; use none")
            if self.sampler == "cmaes":
                raise Invalid("sampler", "takes one objective; use nsga2 or tpe")


class Optuna:
    def __init__(self, config: OptunaConfig, overrides: list[str], extra_dir: str | None) -> None:
        for package, needed in (("optuna", True), ("cmaes", config.sampler == "cmaes")):
            if needed and find_spec(package) is None:
                raise NotInstalled("hydra/sweeper=optuna", package, "optuna")
        self.config = config
        fixed, dimensions = space.split(overrides)
        if not dimensions:
            raise UserError("hydra/sweeper=optuna: nothing is searched; give values, as in optimizer.lr=interval(0,1)")
        dimensions, self.first = space.checked(fixed, dimensions, extra_dir)
        grid = list(space.grid(dimensions)) if config.sampler == "grid" else []
        devices = self.first.trainer.devices
        objective = _objective(config, self.first)
        place = None if config.storage is None else Place(config.storage, Path.cwd())
        self.search = Search(
            fixed=fixed,
            dimensions=dimensions,
            grid=grid,
            n_trials=min(config.n_trials or len(grid), len(grid) or config.n_trials or 0),
            objective=objective,
            devices=devices if isinstance(devices, int) else None,
            seed=self.first.seed if config.seed is None else config.seed,
            sampler=config.sampler,
            pruner=config.pruner,
            startup_trials=config.startup_trials,
            warmup=config.warmup,
            patience=config.patience,
            study_name=config.study_name,
            place=place,
            storage=place and place.open(),
        )
        self.left = self.search.n_trials
        if config.study_name is not None and self.search.storage is not None:
            from attnpred.sweep.trials import refuse_another

            refuse_another(config.study_name, self.search.storage, self.search)

    def objective(self) -> dict[str, Direction]:
        return self.search.objective

    def begin(self, sweep: Sweep) -> None:
        from attnpred.sweep.trials import Trials

        self.sweep = sweep
        self.trials = Trials(self.search, sweep)
        self.again = iter(self.trials.take_up())
        self.left = self.trials.left()

    def next(self) -> Job | None:
        job = next(self.again, None)
        if job is None:
            job = self.trials.claim()
            self.left = self.trials.left()
        return job

    def watch(self, job: Job) -> None:
        """Reports what the job has measured since; the pruner may find that it promises too little."""
        if len(self.search.objective) == 1 and self.trials.hopeless(job):
            (job.directory / PRUNE).touch()

    def ended(self, job: Job) -> None:
        self.trials.tell(job)

    def total(self) -> int:
        return len(self.sweep.jobs) + self.left

    def close(self) -> None:
        if not self.left and not self.sweep.unsettled():
            self.trials.plot()


def _objective(config: OptunaConfig, first: Config) -> dict[str, Direction]:
    """What is looked at, and which way is better."""
    monitor, best = first.checkpoint.metric, first.checkpoint.direction
    names = config.objective or monitor
    names = names if isinstance(names, list) else [names]
    known = [
        *(f"val/{name}" for name in first.task.measured()),
        *COSTS,
        *(TRUST if first.trainer.attention_examples else ()),
    ]
    for name in names:
        if name.startswith("test/"):
            raise UserError(f"{OBJECTIVE}={name}: what is chosen by the test split is not tested any more; use val/…")
        if name not in known:
            raise UserError(f"{OBJECTIVE}={name}: must be one of {', '.join(known)}")
    given = config.direction
    if given is None:
        if names != [monitor]:
            raise UserError("hydra.sweeper.direction=null: is known for checkpoint.monitor alone; say which is better")
        given = "maximize" if best == "max" else "minimize"
    directions = given if isinstance(given, list) else [given] * len(names)
    if len(directions) != len(names):
        raise UserError(f"hydra.sweeper.direction: {len(directions)} for {len(names)} objectives; give one for each")
    return dict(zip(names, directions, strict=True))
