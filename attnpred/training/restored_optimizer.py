"""Checks that the optimizer and schedule of a checkpoint fit those that a run has."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from attnpred.runs.forms import Form, finite, flag, misfit, number, times, whole
from attnpred.training.optimizers import MuonAndAdamW

LATER = ("decoupled_weight_decay", "foreach", "maximize", "capturable", "differentiable", "fused")  # than some versions
# what each keeps of a parameter that it has moved, by the name of its class; of others less is known
KEPT: dict[str, tuple[set[str], set[str]]] = {  # needed; possible
    "AdamW": ({"step", "exp_avg", "exp_avg_sq"}, {"max_exp_avg_sq"}),
    "SGD": (set(), {"momentum_buffer"}),
    "Muon": ({"momentum_buffer"}, {"norm"}),
}
SCALARS = ("step", "norm")
STATE: Form = {"param_groups": [{"params": [whole]}], "state": lambda value: isinstance(value, dict)}
SCHEDULE: Form = {
    "base_lrs": [finite],
    "_last_lr": [finite],
    "last_epoch": whole,
    "_step_count": whole,
    "_is_initial?": flag,
    "_get_lr_called_within_step?": flag,
    "verbose?": flag,
    "lr_lambdas": [lambda value: value is None],
}


def odd(content: dict[str, Any], fresh: Optimizer) -> str | None:
    """The first place at which the states in a checkpoint are not those of such an optimizer; None where all are."""
    (found,), (schedule,) = content["optimizer_states"], content["lr_schedulers"]
    if (place := _odd_state(found, fresh)) is not None:
        return f"optimizer_states[0]{place}"
    place = _odd_schedule(schedule, len(fresh.param_groups))
    return None if place is None else f"lr_schedulers[0]{place}"


def _odd_schedule(schedule: Any, groups: int) -> str | None:
    """Its content would be taken as attributes, whatever it is."""
    if (misplaced := misfit(schedule, SCHEDULE)) is not None:
        return f".{misplaced}"
    known = {name.removesuffix("?") for name in SCHEDULE}
    per_group = ("base_lrs", "_last_lr", "lr_lambdas")
    names = [name for name in schedule if name not in known or (name in per_group and len(schedule[name]) != groups)]
    return f".{names[0]}" if names else None


def _odd_state(found: Any, fresh: Optimizer) -> str | None:
    if isinstance(fresh, MuonAndAdamW):  # kept as two
        for half, own in (("muon", fresh.muon), ("adamw", fresh.adamw)):
            inner = found.get(half) if isinstance(found, dict) else None
            if (odd_half := _odd_state(inner, own)) is not None:
                return f".{half}{odd_half}"
        return None
    if (place := misfit(found, STATE)) is not None:
        return f".{place}"
    groups = fresh.state_dict()["param_groups"]
    parameters = [p for group in fresh.param_groups for p in group["params"]]
    if len(groups) != len(found["param_groups"]):
        return ".param_groups"
    for i, (group, usual) in enumerate(zip(found["param_groups"], groups, strict=True)):
        if (name := _odd_option(group, usual)) is not None:
            return f".param_groups[{i}].{name}"
    for key, kept in found["state"].items():
        if not whole(key) or key >= len(parameters) or not isinstance(kept, dict):
            return f".state[{key}]"
        if (name := _odd_moment(kept, parameters[key], type(fresh).__name__)) is not None:
            return f".state[{key}].{name}"
    if type(fresh).__name__ == "SGD" and (key := _without_momentum(found["state"], parameters)) is not None:
        return f".state[{key}].momentum_buffer"
    return None


def _without_momentum(state: dict[int, dict[str, Any]], parameters: list[Tensor]) -> int | None:
    """A trained parameter that has no momentum while others have; SGD's fused step makes all of them anew, or none."""
    has = [state.get(key, {}).get("momentum_buffer") is not None for key in range(len(parameters))]
    missing = (key for key, one in enumerate(parameters) if one.requires_grad and not has[key])
    return next(missing, None) if any(has) else None


def _odd_option(group: dict[str, Any], own: dict[str, Any]) -> str | None:
    if list(group["params"]) != own["params"]:
        return "params"
    if not finite(group.get("initial_lr")):
        return "initial_lr"
    return next((name for name in own if name not in LATER and not _alike(group.get(name), own[name])), None)


def _alike(found: Any, own: Any) -> bool:
    """True where an option may stand in the place of another."""
    if isinstance(own, bool) or own is None:
        return found is None or isinstance(found, bool)
    if isinstance(own, int | float):
        return finite(found)
    if isinstance(own, list | tuple):
        return times(len(own), finite)(found)
    return type(found) is type(own)


def _odd_moment(kept: dict[Any, Any], parameter: Tensor, kind: str) -> str | None:
    needed, possible = KEPT.get(kind, (set(), set()))
    if missing := needed - kept.keys():
        return min(missing)
    for name, value in kept.items():
        if isinstance(value, Tensor) and value.is_floating_point() and not value.isfinite().all():
            return str(name)
        if kind in KEPT and (name not in needed | possible or not _fits(name, value, parameter)):
            return str(name)
    return None


def _fits(name: str, value: Any, parameter: Tensor) -> bool:
    if value is None or number(value):
        return value is None or name in SCALARS
    if not isinstance(value, Tensor) or name in SCALARS:
        return isinstance(value, Tensor) and value.numel() == 1
    as_matrix = torch.Size((len(parameter), parameter[0].numel())) if parameter.dim() > 2 else parameter.shape
    return value.shape in (parameter.shape, as_matrix)
