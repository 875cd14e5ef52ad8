"""Checks that a run can go on from a checkpoint, before anything of the run is changed."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from torch import Tensor

from attnpred.config import packages
from attnpred.config.options import Config
from attnpred.errors import UserError
from attnpred.machine.device import Chosen
from attnpred.runs.checkpoint_files import TASK
from attnpred.runs.forms import Form, by_name, finite, flag, misfit, number, or_none, text, times, whole
from attnpred.training import optimizers, restored_optimizer
from attnpred.training.callbacks import ema, monitor, resume_state
from attnpred.training.learner import Learner

COUNTS = ("ready", "started", "processed", "completed")
NESTED = ("current", "total", "optimizer", "step", "zero_grad")


def _counts(value: Any) -> bool:
    """Lightning's counts: it takes names and values as attributes, whatever they are."""
    return isinstance(value, dict) and all(
        (key in COUNTS and whole(one)) or (key == "is_last_batch" and flag(one)) or (key in NESTED and _counts(one))
        for key, one in value.items()
    )


def _progress(*names: str) -> Form:
    some = dict.fromkeys(names, whole)
    return lambda value: misfit(value, {"current": some, "total": some}) is None and _counts(value)


SCORES = by_name(by_name(times(3, number)))
RESULT: Form = {
    "val?": by_name(by_name(number)),
    "attention?": {"removal": text, "examples": whole, "scores": SCORES, "sanity?": by_name(number)},
    "attention_seconds?": number,
}
PARTS: Form = {
    "epoch": whole,
    "global_step": whole,
    "pytorch-lightning_version": lambda value: text(value) and value[:1].isdigit(),
    resume_state.KEY: {
        "dice": [{"python": [lambda value: True], "numpy": [lambda value: True], "torch": torch.is_tensor, "cuda": []}],
        "loader": {"position": whole, "epoch?": whole},
        "records": by_name(whole),
        "batch_size": lambda value: whole(value) and value > 0,
        "rate": lambda value: finite(value) and value > 0,
    },
    monitor.KEY: {
        "seen": [by_name([number])],
        "grad_norm": or_none(number),
        "all_tokens": whole,
        "window": times(2, finite),
        "logged_step": whole,
        "seconds": finite,
        "latest": by_name(number),
        "result": RESULT,
    },
    "callbacks": {
        "Checkpoints": {"best": or_none(number)},
        "Guard": {"met": whole, "lowest": number, "high": whole},
    },
    "loops": {
        "fit_loop": {
            "state_dict?": {"combined_loader?": [{"position": whole, "epoch?": whole}]},
            "epoch_loop.state_dict": {"_batches_that_stepped": whole},
            "epoch_loop.batch_progress": _progress(*COUNTS),
            "epoch_loop.scheduler_progress": _progress("ready", "completed"),
            "epoch_loop.automatic_optimization.optim_progress": {
                "optimizer": {"step": _progress("ready", "completed"), "zero_grad": _progress("ready", "completed")}
            },
            "epoch_progress": _progress(*COUNTS),
        }
    },
    "optimizer_states": lambda value: isinstance(value, list) and len(value) == 1,
    "lr_schedulers": lambda value: isinstance(value, list) and len(value) == 1,
}
STOPPING: Form = {
    "wait_count": whole,
    "stopped_epoch": whole,
    "best_score": lambda value: torch.is_tensor(value) and value.numel() == 1,
    "patience": whole,
    "stopping_reason?": lambda value: whole(value) and value in {one.value for one in EarlyStoppingReason},
}


def check(file: Path, content: dict[str, Any], config: Config, learner: Learner, chosen: Chosen) -> None:
    """Raises UserError where a part of a checkpoint is not what a run of this config would have saved."""
    place = misfit(content, PARTS) or _odd_callbacks(content) or _odd_loops(content["loops"])
    place = place or _odd_position(content, chosen.world) or _odd_seen(content[monitor.KEY]["seen"], chosen.world)
    place = place or _odd_weights(content, learner, averaged=config.optimizer.ema is not None)
    if place is None and chosen.strategy != "fsdp":  # which holds each parameter in parts
        place = restored_optimizer.odd(content, optimizers.make(learner.model, config.optimizer, fused=False))
    if place is None:
        try:
            learner.task.load_state(content.get(TASK, learner.task.state()))
        except ValueError as error:
            place = f"{TASK}: {error}"
    if place is not None:
        raise unfit(file, f"{place} is missing, or not what this run would have saved")


def unfit(file: Path, reason: str) -> UserError:
    return UserError(f"{file}: cannot be gone on from ({reason}); restore it, or remove it to use the one before")


@contextmanager
def restoring(file: Path | None, started: Any) -> Iterator[None]:
    """Turns what fails before training has `started` into the checkpoint's fault, where the run goes on from one."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as error:
        if file is None or started() or packages.told(error) is not None:
            raise
        reason = " ".join(str(error).split()[:40])
        raise unfit(file, f"{type(error).__name__}: {reason}") from error


def _odd_callbacks(content: dict[str, Any]) -> str | None:
    for name, state in content["callbacks"].items():
        if not isinstance(name, str) or not isinstance(state, dict):
            return "callbacks"
        if name.startswith("EarlyStopping{") and (place := misfit(state, STOPPING, f"callbacks.{name}")):
            return place
        if name in ("WeightAverage", "Average") and not whole(state.get("steps")):
            return f"callbacks.{name}.steps"
    return None


def _odd_loops(loops: dict[str, Any]) -> str | None:
    for loop, parts in loops.items():
        for name, part in parts.items() if isinstance(parts, dict) else ():
            fits = _counts(part) if str(name).endswith("progress") else isinstance(part, dict)
            if not isinstance(name, str) or not fits:
                return f"loops.{loop}.{name}"
    return None


def _odd_position(content: dict[str, Any], world: int) -> str | None:
    dice = content[resume_state.KEY]["dice"]
    if len(dice) < world:
        return f"{resume_state.KEY}.dice of {world} processes"
    for i, one in enumerate(dice):
        try:
            (version, inner, gauss), (name, keys, *rest) = one["python"], one["numpy"]
            random.Random().setstate((version, tuple(inner), gauss))
            np.random.RandomState().set_state((name, keys.numpy().astype(np.uint32), *rest))
            torch.Generator().set_state(one["torch"].cpu())
            if not all(torch.is_tensor(state) and state.dtype == torch.uint8 for state in one["cuda"]):
                raise TypeError
        except Exception:  # of any type, by what is in the place of a state
            return f"{resume_state.KEY}.dice[{i}]"
    return None


def _odd_seen(seen: list[dict[str, list[float]]], world: int) -> str | None:
    if len(seen) < world:
        return f"{monitor.KEY}.seen of {world} processes"
    fits = all(
        len(one.get("loss", [])) == len(one.get("examples", [])) and all(n > 0 for n in one.get("examples", []))
        for one in seen
    )
    return None if fits else f"{monitor.KEY}.seen"


def _odd_weights(content: dict[str, Any], learner: Learner, *, averaged: bool) -> str | None:
    own = {f"model.{name}": value for name, value in learner.model.state_dict().items()}
    for part in ("state_dict", ema.TRAINED) if averaged else ("state_dict",):
        found = content.get(part)
        if not isinstance(found, dict) or (odd := _odd_tensors(found, own)) is not None:
            return part if not isinstance(found, dict) else f"{part}.{odd}"
    return None


def _odd_tensors(found: Mapping[Any, Any], own: Mapping[str, Tensor]) -> str | None:
    for name, value in own.items():
        given = found.get(name)
        if not isinstance(given, Tensor) or given.shape != value.shape or given.is_sparse:
            return name
        if given.is_floating_point() != value.is_floating_point():
            return name
        if value.isfinite().all() and not given.isfinite().all():
            return f"{name}, all of whose numbers are finite,"
    return next((str(name) for name in found if name not in own), None)
