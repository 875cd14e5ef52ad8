"""The course of the learning rate over a run, as a factor of the highest rate."""

import math
from collections.abc import Callable
from typing import Any

from attnpred.config import packages
from attnpred.config.optimizer_options import SCHEDULES, OptimizerConfig
from attnpred.errors import UserError

ONECYCLE_START = 1 / 25  # where one-cycle begins, as in Smith and Topin 2019's reference settings


def course(config: OptimizerConfig) -> Callable[[int, int, Any], float]:
    """What says the factor: `factor` below, or the function of a package."""
    if config.schedule in SCHEDULES:
        return factor
    found: Any = packages.resolve(config.schedule, "optimizer.schedule")
    if not callable(found):
        raise UserError(f"optimizer.schedule={config.schedule}: is no function; name one of (step, total, config)")
    return found


def factor(step: int, total: int, config: OptimizerConfig) -> float:
    """The rate before optimizer step `step` (from 0) of `total`; what lies beyond the end stays at the end's rate."""
    rising = round(config.warmup * total)
    if step < rising:
        # the first step already learns, the last of the rise is the highest
        progress = (step + 1) / rising
        if config.schedule == "onecycle":
            return ONECYCLE_START + (1 - ONECYCLE_START) * (1 - math.cos(math.pi * progress)) / 2
        return progress
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "wsd":
        rising = max(rising, total - round(config.decay * total))
    falling = min(1.0, max(0, step - rising) / max(1, total - rising))
    if config.schedule in ("linear", "wsd"):
        return 1 - (1 - config.final) * falling
    return config.final + (1 - config.final) * (1 + math.cos(math.pi * falling)) / 2
