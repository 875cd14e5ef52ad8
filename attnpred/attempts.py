"""Training that helps itself: back to the last checkpoint with a lower rate, or on with smaller batches."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from attnpred import vault
from attnpred.config import Config
from attnpred.data.progress import say
from attnpred.errors import Diverged, OutOfMemory, UserError
from attnpred.run import Run

TRIES = 3  # of each kind
SLOWER = 0.5  # rate after a divergence


@dataclass(frozen=True)
class Change:
    """How an attempt differs from the one before it, whose checkpoint it goes on from."""

    rate: float = 1.0  # what the learning rates are multiplied by
    parts: int = 1  # smaller batches that take the place of one


def persist(
    config: Config,
    run: Run,
    parts: Any,
    fit: Callable[[Config, Any, Change], None],
    prepare: Callable[[Config], Any],
) -> None:
    """Fits, and where `trainer.on_nan` and `trainer.on_oom` say so fits again; every such turn is kept in run.json."""
    turns: list[dict[str, Any]] = list(run.description().get("turns", []))
    change = Change()
    while True:
        try:
            return fit(config, parts, change)
        except Diverged as error:
            _check(config.trainer.on_nan == "rewind", turns, "rewind", error)
            change = Change(rate=SLOWER)
            turn: dict[str, Any] = {"turn": "rewind", "step": error.step, "rate": SLOWER}
            told = f"{error.what}; back to the last checkpoint, at {SLOWER:g} x the rate"
        except OutOfMemory as error:
            smaller = halved(config)
            _check(config.trainer.on_oom == "halve" and smaller is not None, turns, "halve", error)
            assert smaller is not None
            config, change = smaller, Change(parts=2)
            run.rewrite(config)
            turn = {"turn": "halve", "step": error.step, "batch_size": config.data.batch_size}
            told = f"{error.what}; on with batches of {config.data.batch_size}, and as many more of them a step"
        say(told)
        turns.append(turn)
        run.describe(turns=turns)
        run.go_on(keep_records=vault.newest(run.checkpoints) is not None)
        parts = prepare(config)


def _check(wanted: bool, turns: list[dict[str, Any]], kind: str, error: UserError) -> None:
    if not wanted or sum(turn["turn"] == kind for turn in turns) >= TRIES:
        raise error


def halved(config: Config) -> Config | None:
    """The same optimizer steps from batches half as large; None where they cannot be smaller."""
    data = config.data
    budget = getattr(data, "token_budget", None)
    if data.batch_size < 2 or data.batch_size % 2:
        return None
    changes = {"batch_size": data.batch_size // 2, **({} if budget is None else {"token_budget": budget // 2})}
    trainer = replace(config.trainer, accumulate=2 * config.trainer.accumulate)
    return replace(config, data=replace(data, **changes), trainer=trainer)
