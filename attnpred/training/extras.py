"""Callbacks that packages bring, made of their own options."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.callbacks import Callback

from attnpred.config import schema
from attnpred.config.options import CallbackConfig
from attnpred.errors import UserError


def check(chosen: Mapping[str, CallbackConfig]) -> None:
    """Imports their classes, and refuses those that are of another kind, before anything is prepared."""
    kinds: dict[Any, str] = {}
    for name, options in chosen.items():
        found = _kind(name, options)
        other = kinds.setdefault(found, name)
        keyless = found.state_key is Callback.state_key and found.state_dict is not Callback.state_dict
        if other != name and keyless:  # whose states checkpoints could not tell apart
            raise UserError(
                f"callbacks.{name}: is of the same class as {other}; give that class a state_key of each one's"
            )


def make(chosen: Mapping[str, CallbackConfig]) -> list[Callback]:
    return [_kind(name, options)(options) for name, options in chosen.items()]


def _kind(name: str, options: CallbackConfig) -> Any:
    place = f"callbacks.{name}._target_"
    found = schema.load(options._target_, place)
    if not issubclass(found, Callback):
        raise UserError(f"{place}={options._target_}: is no Callback of Lightning's; derive it from that")
    return found
