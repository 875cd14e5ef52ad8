"""Training that helps itself: back to the last checkpoint with a lower rate, or on with smaller batches."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnpred.config.options import Config
from attnpred.console.say import say
from attnpred.errors import Diverged, OutOfMemory, UserError
from attnpred.runs import checkpoint_files, loggers
from attnpred.runs.run import Run
from attnpred.training.callbacks.resume_state import KEY

TRIES = 3  # of each kind
SLOWER = 0.5  # rate after a divergence


def persist(
    config: Config,
    run: Run,
    parts: Any,
    fit: Callable[[Config, Any, float], None],
    prepare: Callable[[Config], Any],
) -> None:
    """Fits, and where `trainer.on_nan` and `trainer.on_oom` say so fits again; every such turn is kept in run.json.

    `fit` is given what the learning rates are multiplied by. A run that is resumed goes on with the turns it has taken.
    """
    turns: list[dict[str, Any]] = list(run.description().get("turns", []))
    while True:
        try:
            return fit(config, parts, SLOWER ** _taken(turns, "rewind"))
        except Diverged as error:
            _check(config.trainer.on_nan == "rewind", turns, "rewind", error)
            turns.append({"turn": "rewind", "step": error.step, "rate": SLOWER})
            say(f"{error.what}; back to the last checkpoint, at {SLOWER:g} x the rate")
        except OutOfMemory as error:
            smaller = halved(config)
            _check(config.trainer.on_oom == "halve" and smaller is not None, turns, "halve", error)
            assert smaller is not None
            config = smaller
            run.rewrite(config)
            turns.append({"turn": "halve", "step": error.step, "batch_size": config.data.batch_size})
            say(f"{error.what}; on with batches of {config.data.batch_size}, and as many more of them a step")
        run.describe(turns=turns)
        go_back(run)
        parts = None  # a device need not hold two models
        parts = prepare(config)


def go_back(run: Run, check: Callable[[Path, dict[str, Any]], None] | None = None) -> Path | None:
    """Makes a run's records end where it was last saved, and returns that checkpoint; None where it begins anew.

    `check` refuses a checkpoint before anything is changed.
    """
    start = checkpoint_files.newest(run.checkpoints)
    content = None if start is None else checkpoint_files.load(start)
    if start is not None and content is not None and check is not None:
        check(start, content)
        deque(loggers.rows(run.path / loggers.METRICS, content[KEY]["records"].get(loggers.METRICS, 0)), 0)
    run.go_on(keep_records=start is not None)
    if content is not None:
        loggers.cut(run.path, content[KEY]["records"])
    return start


def _taken(turns: list[dict[str, Any]], kind: str) -> int:
    return sum(turn["turn"] == kind for turn in turns)


def _check(wanted: bool, turns: list[dict[str, Any]], kind: str, error: UserError) -> None:
    if not wanted or _taken(turns, kind) >= TRIES:
        raise error


def halved(config: Config) -> Config | None:
    """The same optimizer steps from batches half as large; None where they cannot be smaller."""
    data, trainer = config.data, config.trainer
    budget = getattr(data, "token_budget", None)
    if data.batch_size < 2 or data.batch_size % 2:
        return None
    changes: dict[str, Any] = {"batch_size": data.batch_size // 2, "eval_batch_size": max(data.eval_batch_size // 2, 1)}
    if budget is not None:
        changes["token_budget"] = budget // 2
    every = trainer.validate_every_steps  # counts batches
    trainer = replace(trainer, accumulate=2 * trainer.accumulate, validate_every_steps=every and 2 * every)
    return replace(config, data=replace(data, **changes), trainer=trainer)
