"""Which parameter is moved by which algorithm, at which rate, with which decay."""

import inspect
import typing
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from attnpred.config.optimizer_options import TORCH, OptimizerConfig
from attnpred.config.packages import resolve_class, theirs
from attnpred.errors import UserError, suggest
from attnpred.models.base import Model
from attnpred.models.positions import Positions
from attnpred.training.muon import Muon
from attnpred.training.schedule import course

PREDICTED_RATE = 5e-3  # at least, of what predicts attention: it starts from nothing, whatever the model starts from
OPTIONS = {  # arguments that are not free to choose
    "lr": "is optimizer.lr",
    "weight_decay": "is optimizer.weight_decay",
    "fused": "follows from trainer.precision",
}
EMBEDDINGS = (nn.Embedding, Positions)  # tables of rows that are looked up, not multiplied by


def make(model: Model, options: OptimizerConfig, *, fused: bool) -> Optimizer:
    """The optimizer of all that is trained; each of its groups has a decay and a highest rate of its own."""
    trained = [p for p in model.parameters() if p.requires_grad]
    adam: dict[str, Any] = {"betas": (options.momentum, options.beta2), "fused": fused}
    if options.name == "sgd":
        nesterov = options.momentum > 0
        return SGD(_groups(model, trained, options), momentum=options.momentum, nesterov=nesterov, fused=fused)
    if options.name == "adamw":
        return AdamW(_groups(model, trained, options), **adam)
    if options.name != "muon":
        return _named(_groups(model, trained, options), options, fused=fused)
    hidden = _hidden(model, trained)
    if not hidden:  # all that is trained is what AdamW moves
        return AdamW(_groups(model, trained, options), **adam)
    chosen = {id(p) for p in hidden}
    rest = [p for p in trained if id(p) not in chosen]
    muon = Muon(_groups(model, hidden, options), options.momentum, hold_norm=options.hold_norm)
    return MuonAndAdamW(muon, AdamW(_groups(model, rest, options), **adam))


def check(model: Model, options: OptimizerConfig) -> None:
    """Refuses an optimizer or schedule that this model cannot be trained by, before anything is made for it."""
    course(options)
    if not any(p.requires_grad for p in model.parameters()):
        raise UserError("model.frozen: leaves nothing to train; name fewer weights")
    if options.name not in ("adamw", "sgd"):
        make(model, options, fused=False)


def _hidden(model: Model, trained: list[nn.Parameter]) -> list[nn.Parameter]:
    """The matrices between the embedding and the classes, as Muon's author advises, of those that are trained."""
    last = {id(p) for module in model.levels()[-1] for p in module.parameters()}
    multiplied = _multiplied(model)
    inner = multiplied - last
    if not inner and any(id(p) in multiplied for p in trained):
        raise UserError(
            f"optimizer.name=muon: {type(model).__name__} does not say by levels() which of its weights are hidden; "
            "have it do so, or set optimizer.name=adamw"
        )
    return [p for p in trained if id(p) in inner]


def _named(groups: list[dict[str, Any]], options: OptimizerConfig, *, fused: bool) -> Optimizer:
    """An optimizer of torch's or of a package."""
    target = str(options.target())
    of_torch = target.startswith(f"{TORCH}.")
    kind = getattr(torch.optim, target.rpartition(".")[2]) if of_torch else resolve_class(target, "optimizer.name")
    if not issubclass(kind, Optimizer):
        raise UserError(
            f"optimizer.name={options.name}: is no optimizer of torch's kind; derive it from {TORCH}.Optimizer"
        )
    known = inspect.signature(kind).parameters
    if "weight_decay" not in known:
        if options.weight_decay:
            raise UserError(f"optimizer.weight_decay={options.weight_decay:g}: {options.name} has none; set it to 0")
        groups = [{key: value for key, value in group.items() if key != "weight_decay"} for group in groups]
    given: dict[str, Any] = {"lr": options.lr, "momentum": options.momentum}
    given |= {"fused": fused} if of_torch else {}
    given = {name: value for name, value in given.items() if name in known}
    if "betas" in known and isinstance(known["betas"].default, tuple) and len(known["betas"].default) == 2:
        given["betas"] = (options.momentum, options.beta2)
    _check_arguments(known, options)
    with theirs():
        try:
            return typing.cast(Optimizer, kind(groups, **{**given, **options.arguments}))
        except ValueError as error:
            raise UserError(f"optimizer.name={options.name}: {error}; change the options of optimizer") from None
        except TypeError as error:
            if not options.arguments:
                raise
            raise UserError(f"optimizer.arguments={options.arguments}: {error}; change them") from None


def _check_arguments(known: Mapping[str, inspect.Parameter], options: OptimizerConfig) -> None:
    """Refuses arguments that the constructor does not take, or that have options of their own."""
    names = [name for name, p in known.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)][1:]
    free = [name for name in names if name not in OPTIONS]
    for name in options.arguments:
        if name in OPTIONS:
            raise UserError(f"optimizer.arguments.{name}: {OPTIONS[name]}; leave it out")
        if name not in free and not any(p.kind == p.VAR_KEYWORD for p in known.values()):
            taken = f"takes {', '.join(free)}" if free else "takes none"
            raise UserError(f"optimizer.arguments.{name}: {options.name} {taken}{suggest(str(name), free)}")
    for name in free:
        if known[name].default is inspect.Parameter.empty and name not in (*options.arguments, "momentum"):
            raise UserError(f"optimizer.arguments.{name}: missing; {options.name} needs it")


def _groups(model: Model, parameters: list[nn.Parameter], options: OptimizerConfig) -> list[dict[str, Any]]:
    """Parameters of like decay and level together; the lower the level, the lower the rate."""
    levels = model.levels()
    # what stands in no level, such as a token that is learned, belongs to the input
    level_of = {id(p): i for i, modules in enumerate(levels) for module in modules for p in module.parameters()}
    multiplied = _multiplied(model)
    predicting = {id(p) for module in model.beside() for p in module.parameters()}
    groups: defaultdict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
    for p in parameters:
        level = level_of.get(id(p), 0) if options.layer_decay < 1 else len(levels) - 1
        rate = options.lr * options.layer_decay ** (len(levels) - 1 - level)
        groups[max(rate, PREDICTED_RATE) if id(p) in predicting else rate, id(p) in multiplied].append(p)
    return [
        {"params": members, "lr": rate, "weight_decay": options.weight_decay if decays else 0.0}
        for (rate, decays), members in groups.items()
    ]


def _multiplied(model: Model) -> set[int]:
    """The parameters that features are multiplied by: not norms, biases or embeddings."""
    looked_up = {id(p) for m in model.modules() if isinstance(m, EMBEDDINGS) for p in m.parameters(recurse=False)}
    return {id(p) for p in model.parameters() if p.ndim >= 2 and id(p) not in looked_up}


class MuonAndAdamW(Optimizer):
    """Muon for the hidden matrices and AdamW for the rest; one optimizer to schedules and checkpoints."""

    def __init__(self, muon: Muon, adamw: AdamW) -> None:
        self.muon, self.adamw = muon, adamw
        # the groups themselves, not copies: a rate that a schedule changes here is the one that they step by
        super().__init__([*self.muon.param_groups, *self.adamw.param_groups], {"fused": False})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.muon.step()
        self.adamw.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.muon.load_state_dict(state_dict["muon"])
        self.adamw.load_state_dict(state_dict["adamw"])
        self.param_groups = [*self.muon.param_groups, *self.adamw.param_groups]  # loading made them anew
