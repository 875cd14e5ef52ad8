"""A run made of several: the mean of their answers, or of their weights where they had one beginning."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attnpred.config import compose
from attnpred.config.continual_options import ContinualConfig
from attnpred.config.options import Config
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import write_json
from attnpred.inference.evaluate import evaluate
from attnpred.modalities.reader import SPEC_FILE, read_specs, save_reader
from attnpred.models.ensemble import FOLDER, Ensemble, EnsembleConfig
from attnpred.runs import calibration
from attnpred.runs.checkpoint_files import BEST, TASK, CheckpointFiles
from attnpred.runs.run import Run

TARGET = f"{Ensemble.__module__}.{Ensemble.__qualname__}"


def ensemble(runs: Sequence[Run], *, weights: bool = False, output_dir: str | None = None) -> Run:
    """A new run directory that holds all of the runs, and its results on the first one's validation and test."""
    configs = [run.config() for run in runs]
    _require_alike(runs, configs)
    if weights:
        _require_one_beginning(runs, configs)
    model = configs[0].model if weights else _model(runs, configs)
    config = replace(
        configs[0],
        model=replace(model, init_from=None),
        continual=ContinualConfig(),
        continue_from=None,
        output_dir=output_dir or configs[0].output_dir,
    )
    state = _mean([run.weights() for run in runs]) if weights else _side_by_side(runs)
    made = Run.create(config, [])
    try:
        _write(made, runs, state, weights=weights)
        write_json(made.path / "metrics.json", _results(made, config))
        made.finish("done")
    except BaseException:
        shutil.rmtree(made.path, ignore_errors=True)
        raise
    return made


def _write(made: Run, runs: Sequence[Run], state: dict[str, Tensor], *, weights: bool) -> None:
    task = runs[0].task()
    save_reader(made.path, runs[0].reader(), task.spec)
    for number, run in enumerate(runs[:1] if weights else runs):
        place = made.path if weights else made.path / FOLDER / str(number)
        place.mkdir(parents=True, exist_ok=True)
        run.load_model().save_assets(place)
    learned = _learned([run.task().state() for run in runs])
    content = {"state_dict": {f"model.{name}": value for name, value in state.items()}, "global_step": 0}
    CheckpointFiles().save_checkpoint({**content, **({TASK: learned} if learned else {})}, made.checkpoints / BEST)
    of = [str(run.path) for run in runs]
    made.describe(ensemble={"of": of, "mean": "weights" if weights else "answers"})


def _results(made: Run, config: Config) -> dict[str, Any]:
    """What training would have written; without a part whose data is not there any more."""
    task = made.task()
    parameters = sum(value.numel() for value in made.load_model().parameters())
    found: dict[str, Any] = {"parameters": parameters}
    try:
        val = {name: value for name, value in evaluate(made, config, "val", task).items() if isinstance(value, float)}
        found["val"] = {"best": {**val, "step": 0, "epoch": 0}, "final": {**val, "step": 0, "epoch": 0}}
        found["test"] = evaluate(made, config, "test", task)
    except UserError as error:
        say(f"warning: the ensemble is not measured: {error}")
    return found


def _model(runs: Sequence[Run], configs: Sequence[Config]) -> EnsembleConfig:
    heats = [calibration.temperature(run.path) for run in runs]
    return EnsembleConfig(
        _target_=TARGET,
        members={str(number): replace(config.model, init_from=None) for number, config in enumerate(configs)},
        temperatures=heats if any(heat != 1 for heat in heats) else [],
    )


def _require_alike(runs: Sequence[Run], configs: Sequence[Config]) -> None:
    """Raises where the runs do not answer the same question about inputs that are read alike."""
    inputs, target = read_specs(runs[0].path)
    if configs[0].task.shape not in EnsembleConfig.answers:
        raise UserError(
            f"{runs[0].path}: its answers are no chances or numbers that have a mean; give runs of another task"
        )
    for run, config in zip(runs[1:], configs[1:], strict=True):
        own_inputs, own_target = read_specs(run.path)
        if config.task._target_ != configs[0].task._target_:
            raise UserError(f"{run.path}: answers another task than {runs[0].path}; give runs of one")
        if _named(own_target) != _named(target):
            raise UserError(
                f"{run.path}: has other classes than {runs[0].path}, or others first; give runs of one task"
            )
        if own_inputs != inputs:
            raise UserError(
                f"{run.path}: reads by another vocabulary, length or scale than {runs[0].path} ({SPEC_FILE} tells); "
                "give runs of one dataset and its options"
            )


def _named(target: dict[str, Any]) -> dict[str, Any]:
    """What a target consists of, without how often it is met."""
    return {key: value for key, value in target.items() if key not in ("counts", "rows")}


def _require_one_beginning(runs: Sequence[Run], configs: Sequence[Config]) -> None:
    begun = [_beginning(config) for config in configs]
    for run, config, own in zip(runs, configs, begun, strict=True):
        if config.model._target_ != configs[0].model._target_ or own != begun[0]:
            raise UserError(
                f"--weights: {run.path} began with other weights than {runs[0].path}, whose mean means nothing; "
                "leave --weights out"
            )


def _beginning(config: Config) -> Any:
    """What a run's weights were at first: another run's, a checkpoint's, or drawn by a seed."""
    source = config.continue_from or config.model.init_from or config.model.tokenizer_source()
    return source or getattr(config.model, "source", None) or (config.seed, compose.file_of(config.model._target_))


def _side_by_side(runs: Sequence[Run]) -> dict[str, Tensor]:
    return {
        f"members.{number}.{name}": value for number, run in enumerate(runs) for name, value in run.weights().items()
    }


def _mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    first = states[0]
    for state in states[1:]:
        if {name: value.shape for name, value in state.items()} != {name: value.shape for name, value in first.items()}:
            raise UserError("--weights: the runs' weights have other names or shapes; leave --weights out")
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value  # a counter, such as of batches
        for name, value in first.items()
    }


def _learned(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What tasks learned of validation, averaged: lists of numbers, such as thresholds."""
    return {
        key: [sum(each) / len(states) for each in zip(*(state[key] for state in states), strict=True)]
        for key in states[0]
    }
