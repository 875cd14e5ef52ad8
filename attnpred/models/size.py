"""Asks, before a model takes memory, if its weights fit into this machine."""

import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from attnpred.config import schema
from attnpred.config.options import ModelConfig
from attnpred.contracts import ModelSpec
from attnpred.errors import UserError
from attnpred.models import slimming
from attnpred.models.predicted import require_predicted

M = TypeVar("M", bound=nn.Module)
GIB = 2**30
LARGE = 2 * GIB  # weights up to here are made without being counted before
CGROUP = Path("/sys/fs/cgroup/memory.max")


class _Large(BaseException):
    """The weights made so far are more than may be without a look at the whole; no model's own code may catch it."""


def fresh(config: ModelConfig, spec: ModelSpec) -> Any:
    """A new model, to be trained."""
    network = schema.load(config._target_)
    # what brings a tokenizer of its own brings weights with it
    model = made(lambda: network(config, spec), config, loads=config.tokenizer_source() is not None)
    require_predicted(model)
    return model


def made(make: Callable[[], M], config: ModelConfig, *, loads: bool = False) -> M:
    """The model that `make` returns, or the user's one line where its weights can't fit into memory.

    A large one is made twice: first without memory, to be counted. Where that cannot be done, or where making it
    `loads` weights from disk, what the system refuses is told.
    """
    state = torch.get_rng_state()
    try:
        try:
            with nullcontext() if loads else _Counted(LARGE):
                return _slim(make(), config)
        except _Large:
            torch.set_rng_state(state)
            size = _size(make)
            if size is not None and size > memory():
                raise _too_large(size, config) from None
            return _slim(make(), config)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or "alloc" in str(error):  # torch has no type of its own for it on a CPU
            raise _too_large(None if loads else _size(make), config) from error
        raise


def _slim(model: M, config: ModelConfig) -> M:
    slimming.shrink(model, config.slim)
    return model


def memory() -> int:
    """Bytes of memory that this process may have."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # unlimited is the word "max"
        whole = min(whole, int(CGROUP.read_text()))
    return whole


class _Counted:
    """While it lasts, a model whose weights come to more than `most` bytes is not made to its end."""

    def __init__(self, most: int) -> None:
        self.left = most

    def __enter__(self) -> None:
        self._hook = register_module_parameter_registration_hook(self._count)

    def __exit__(self, *error: object) -> None:
        self._hook.remove()

    def _count(self, module: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        if weight is not None and weight.device.type != "meta":
            self.left -= weight.nbytes
            if self.left < 0:
                raise _Large


def _size(make: Callable[[], Any]) -> int | None:
    """Bytes of weights, made without memory; None where the model can't be made so."""
    try:
        with torch.device("meta"):
            model = make()
        return sum(weight.nbytes for weight in model.parameters() if weight.device.type == "meta")
    except Exception:
        return None


def _too_large(size: int | None, config: ModelConfig) -> UserError:
    needs = "more than" if size is None else f"about {size / GIB:,.0f} GiB for its weights,"
    there = "the memory of this machine," if size is None else "this machine has"
    named = [f"model.{name}" for name in ("width", "depth") if hasattr(config, name)]
    remedy = f"lower {' or '.join(named)}" if named else "choose a smaller one"
    return UserError(f"model={config._target_}: needs {needs} {there} {memory() / GIB:,.0f} GiB; {remedy}")
