"""CMA-ES whose state is worked out from the study's trials. Optuna's own keeps a pickle there, which runs code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

GENERATION = "cma:generation"  # where Optuna's own notes which generation a trial was drawn for
Space = dict[str, BaseDistribution]


class Evolution(optuna.samplers.BaseSampler):
    """Draws one trial; the generations before it are told anew, which gives the same state whoever does it."""

    def __init__(self, startup_trials: int, seed: int) -> None:
        self.startup_trials, self.seed = startup_trials, seed
        self.independent = optuna.samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        space = IntersectionSearchSpace().calculate(study)
        return {
            name: kind
            for name, kind in space.items()
            if isinstance(kind, FloatDistribution | IntDistribution) and not kind.single()
        }

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not search_space or len(done) < self.startup_trials:
            return {}
        space = _SearchSpaceTransform(search_space, transform_step=True, transform_0_1=True)
        state = self._evolved(space, search_space, done, study.direction)
        study._storage.set_trial_system_attr(trial._trial_id, GENERATION, state.generation)
        drawn: dict[str, Any] = space.untransform(state.ask())
        return drawn

    def _evolved(self, space: Any, search_space: Space, done: list[FrozenTrial], direction: StudyDirection) -> Any:
        import cmaes

        bounds = space.bounds
        widths = bounds[:, 1] - bounds[:, 0]
        state = cmaes.CMA(
            mean=bounds[:, 0] + widths / 2,
            sigma=float(np.min(widths)) / 6,
            bounds=bounds,
            seed=self.seed % 2**32,
            n_max_resampling=10 * len(bounds),
        )
        sign = 1 if direction == StudyDirection.MINIMIZE else -1
        generations: dict[int, list[tuple[Any, float]]] = {}
        for one in done:
            known = one.system_attrs.get(GENERATION)
            if type(known) is int and one.value is not None and math.isfinite(one.value) and _within(one, search_space):
                params = {name: one.params[name] for name in search_space}
                generations.setdefault(known, []).append((space.transform(params), sign * one.value))
        while len(told := generations.get(state.generation, [])) >= state.population_size:
            state.tell(told[: state.population_size])
        return state

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.independent.sample_independent(study, trial, param_name, param_distribution)


def _within(trial: FrozenTrial, space: Space) -> bool:
    """Whether the trial's values lie in the space; a storage may tell anything."""
    try:
        return all(kind._contains(kind.to_internal_repr(trial.params[name])) for name, kind in space.items())
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
