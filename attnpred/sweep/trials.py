"""The trials of a search in Optuna's storage, and the sweep's jobs, held together whatever dies when."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.runs.run import PRUNE
from attnpred.sweep import outcome
from attnpred.sweep.evolution import Evolution
from attnpred.sweep.job import OVER, Job
from attnpred.sweep.search import Search
from attnpred.sweep.space import Dimension
from attnpred.sweep.state import Sweep
from attnpred.sweep.study import MEND, OPTION, UNREADABLE, Place

# a trial's own notes: the worker that has it, that worker's job, and the failed trial that it takes the place of
WORKER, JOB, AGAIN = "worker", "job", "again"
STATES = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class Trials:
    """What a worker knows of the study. Taking a trial is done in turns with the study's other workers."""

    def __init__(self, search: Search, sweep: Sweep) -> None:
        optuna.logging.set_verbosity(logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.search, self.sweep = search, sweep
        self.place = search.place or Place("journal:///study.journal", sweep.path)
        self.names = list(search.objective)
        self.distributions = {d.key: distribution(d) for d in search.dimensions}
        notes = sweep.sweeper
        notes["study_name"] = search.study_name or notes.get("study_name") or sweep.path.name
        self.worker = notes.setdefault("worker", sweep.path.name)
        storage = search.storage or self.place.open()
        with self.place.turn():
            self.study = optuna.create_study(
                storage=storage,
                study_name=notes["study_name"],
                directions=list(search.objective.values()),
                pruner=pruner(search),
                load_if_exists=True,
            )
        _refuse_odd(self.study, self.place)
        self.running: dict[int, tuple[Any, outcome.Curve]] = {}
        self.replayed = 0  # trials that memory was given anew, whose sampler knows nothing of them

    def take_up(self) -> list[Job]:
        """Makes jobs and trials agree after whatever interrupted them, and returns the jobs to be gone on with."""
        if self.search.in_memory:
            self._replay()
        known = {trial.number: trial for trial in self._all()}
        for job in self.sweep.jobs:
            trial = known.get(job.trial) if job.trial is not None else None
            if trial is None:
                continue
            if job.status in OVER:
                self.tell(job)
            elif trial.state == TrialState.FAIL:
                self._again(job, trial)
            elif trial.state.is_finished():
                job.status = "done" if trial.state == TrialState.COMPLETE else "pruned"
                job.values = dict(zip(self.names, trial.values or [], strict=False))
        self.sweep.save()
        return self.sweep.unsettled()

    def claim(self) -> Job | None:
        """A new job for a new trial, or one that died between being taken and being known; None when all are taken."""
        with self.place.turn():
            trials = self._all()
            trial = self._orphan(trials)
            if trial is None:
                if not self._left(trials):
                    return None
                self.study.sampler = sampler(self.search, len(trials), self.replayed)
                if self.search.sampler == "grid" and not any(t.state == TrialState.WAITING for t in trials):
                    self.study.enqueue_trial(self._unseen(trials))
                trial = self.study.ask()
            values = {d.key: suggest(trial, self.distributions[d.key], d.key) for d in self.search.dimensions}
            trial.set_user_attr(JOB, len(self.sweep.jobs))
            trial.set_user_attr(WORKER, self.worker)
            own = [d.override(values[d.key]) for d in self.search.dimensions]
            job = self.sweep.add([*self.search.fixed, *own], trial=trial.number, devices=self.search.devices)
            self.sweep.save()
            return job

    def tell(self, job: Job) -> None:
        """Writes down how a trial ended; one that was interrupted goes on later."""
        if job.trial is None or job.status not in STATES:
            return
        self.running.pop(job.number, None)
        state, values = STATES[job.status], None
        if job.status == "done":
            values = self._values(job)
            state = state if values else TrialState.FAIL
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a pruned trial without a report
            self.study.tell(job.trial, values, state=state, skip_if_finished=True)

    def hopeless(self, job: Job) -> bool:
        """Hands on what the job has measured since, and asks the pruner."""
        if job.trial is None or (job.directory / PRUNE).exists():
            return False
        if job.number not in self.running:
            trial = optuna.Trial(self.study, self._all()[job.trial]._trial_id)
            self.running[job.number] = (trial, outcome.Curve(job, self.names[0]))
        trial, curve = self.running[job.number]
        new = curve.further()
        for step, value in enumerate(curve.values[len(curve.values) - len(new) :], len(curve.values) - len(new) + 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a run that went back reports some steps again
                trial.report(value, step)
        return bool(new) and bool(trial.should_prune())

    def left(self) -> int:
        return self._left(self._all())

    def plot(self) -> None:
        from attnpred.sweep import plots

        elsewhere = [t for t in self._all() if t.state == TrialState.RUNNING]
        if elsewhere:
            say(f"{len(elsewhere)} trials of the study are still in other workers' hands")
        plots.write(self.study, self.names, self.sweep.path / "plots")

    def _all(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _left(self, trials: list[FrozenTrial]) -> int:
        """How many may still be taken, those not counted whose place another took."""
        again = sum(AGAIN in trial.user_attrs for trial in trials)
        waiting = sum(trial.state == TrialState.WAITING for trial in trials)
        return max(0, self.search.n_trials - (len(trials) - again - waiting))

    def _orphan(self, trials: list[FrozenTrial]) -> Any | None:
        """A trial whose worker died before its job was known; while it is our turn, no living one's looks so."""
        for trial in trials:
            if trial.state != TrialState.RUNNING:
                continue
            worker, job = trial.user_attrs.get(WORKER), trial.user_attrs.get(JOB, 0)
            if worker is None or (worker == self.worker and job >= len(self.sweep.jobs)):
                self.study.sampler = sampler(self.search, trial.number, self.replayed)
                return optuna.Trial(self.study, trial._trial_id)
        return None

    def _again(self, job: Job, trial: FrozenTrial) -> None:
        """A failed trial is over for Optuna: another with its values takes its place."""
        notes = {WORKER: self.worker, JOB: job.number, AGAIN: trial.number}
        with self.place.turn():
            if all(other.user_attrs != notes for other in self._all()):
                made = create_trial(
                    state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions, user_attrs=notes
                )
                self.study.add_trial(made)
            (job.trial,) = (other.number for other in self._all() if other.user_attrs == notes)
            self.sweep.save()

    def _replay(self) -> None:
        """Fills a study in memory with what the sweep's directory tells of it."""
        for job in self.sweep.jobs:
            given = dict(override.partition("=")[::2] for override in job.overrides)
            params = {d.key: d.value(f"{d.key}={given[d.key]}") for d in self.search.dimensions}
            curve = outcome.Curve(job, self.names[0])
            steps = dict(enumerate(curve.further(), 1)) if len(self.names) == 1 else {}
            values = self._values(job) if job.status == "done" else None
            state = STATES.get(job.status, TrialState.RUNNING)
            if state == TrialState.COMPLETE and values is None:
                state = TrialState.FAIL
            notes = {WORKER: self.worker, JOB: job.number}
            self.study.add_trial(
                create_trial(
                    state=state,
                    values=values,
                    params=params,
                    distributions=self.distributions,
                    intermediate_values=steps,
                    user_attrs=notes,
                )
            )
            job.trial = job.number
        self.replayed = len(self.sweep.jobs)

    def _values(self, job: Job) -> list[float] | None:
        """What the job reached, if every objective is a number."""
        found = [job.values[name] for name in self.names if name in job.values]
        return found if len(found) == len(self.names) else None

    def _unseen(self, trials: list[FrozenTrial]) -> dict[str, Any]:
        seen = [trial.params for trial in trials]
        return next(point for point in self.search.grid if point not in seen)


def _refuse_odd(study: optuna.Study, place: Place) -> None:
    """Raises where the storage, which may be a stranger's, tells of trials what no trial has."""
    try:
        for trial in study.get_trials(deepcopy=False):
            for name, kind in trial.distributions.items():
                if not kind._contains(kind.to_internal_repr(trial.params[name])):
                    raise ValueError(f"trial {trial.number}: {name} is not of its values")
            numbers = [*trial.intermediate_values, *trial.intermediate_values.values(), *(trial.values or ())]
            if any(number is not None and not isinstance(number, int | float) for number in numbers):
                raise ValueError(f"trial {trial.number}: measured no numbers")
            worker, job = trial.user_attrs.get(WORKER, ""), trial.user_attrs.get(JOB, 0)
            if not isinstance(worker, str) or type(job) is not int:
                raise ValueError(f"trial {trial.number}: tells no worker or job")
    except UNREADABLE as error:
        raise UserError(f"{OPTION}={place.address}: holds no study that can be read ({error}); {MEND}") from None


def refuse_another(name: str, storage: Any, search: Search) -> None:
    """Raises where the study of that name is of another search: its trials would mean something else."""
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return
    asked = list(search.objective.values())
    there = [direction.name.lower() for direction in study.directions]
    if there != asked:
        raise UserError(
            f"hydra.sweeper.study_name={name}: is to {', '.join(there)}, not to {', '.join(asked)}; rename it"
        )
    ours = {d.key: distribution(d) for d in search.dimensions}
    for trial in study.get_trials(deepcopy=False):
        for key in trial.distributions.keys() & ours.keys():
            try:
                optuna.distributions.check_distribution_compatibility(trial.distributions[key], ours[key])
            except ValueError:
                raise UserError(f"hydra.sweeper.study_name={name}: draws {key} from other values; rename it") from None


def distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices is not None:
        return CategoricalDistribution(list(dimension.choices))
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), dimension.log, int(dimension.step or 1))
    return FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step)


def suggest(trial: Any, kind: BaseDistribution, key: str) -> Any:
    if isinstance(kind, CategoricalDistribution):
        return trial.suggest_categorical(key, kind.choices)
    if isinstance(kind, IntDistribution):
        return trial.suggest_int(key, kind.low, kind.high, step=kind.step, log=kind.log)
    assert isinstance(kind, FloatDistribution)
    return trial.suggest_float(key, kind.low, kind.high, step=kind.step, log=kind.log)


def sampler(search: Search, number: int, replayed: int) -> optuna.samplers.BaseSampler:
    """What draws the trial of this number. Every number has a seed of its own, so that no worker repeats another's."""
    own = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0] >> 1)
    kinds = optuna.samplers
    if search.sampler == "tpe":
        return kinds.TPESampler(n_startup_trials=search.startup_trials, constant_liar=True, seed=own)
    if search.sampler == "cmaes":
        return Evolution(max(1, search.startup_trials), own)
    if search.sampler == "nsga2":
        return kinds.NSGAIISampler(seed=own)
    if search.sampler == "qmc":  # one sequence for all, which the storage counts
        return kinds.QMCSampler(scramble=True, seed=search.seed + replayed, warn_independent_sampling=False)
    return kinds.RandomSampler(seed=own)


def pruner(search: Search) -> optuna.pruners.BasePruner:
    """What finds trials hopeless; its steps are a trial's validations, counted from 1."""
    kinds = optuna.pruners
    if search.pruner == "median":
        return kinds.MedianPruner(n_startup_trials=search.startup_trials, n_warmup_steps=search.warmup)
    if search.pruner == "hyperband":
        return kinds.HyperbandPruner(min_resource=search.warmup)
    if search.pruner == "patient":
        return kinds.PatientPruner(None, patience=search.patience)
    return kinds.NopPruner()
