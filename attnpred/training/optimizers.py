"""Which parameter is moved by which algorithm, at which rate, with which decay."""

from collections import defaultdict
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from attnpred.config.options import OptimizerConfig
from attnpred.models.base import Model
from attnpred.models.positions import Positions
from attnpred.training.muon import Muon

PREDICTED_RATE = 5e-3  # at least, of what predicts attention: it starts from nothing, whatever the model starts from
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
    # the matrices between the embedding and the classes, as Muon's author advises
    last = {id(p) for module in model.levels()[-1] for p in module.parameters()}
    multiplied = _multiplied(model)
    hidden = [p for p in trained if id(p) in multiplied and id(p) not in last]
    if not hidden:  # all that is trained is what AdamW moves
        return AdamW(_groups(model, trained, options), **adam)
    chosen = {id(p) for p in hidden}
    rest = [p for p in trained if id(p) not in chosen]
    muon = Muon(_groups(model, hidden, options), options.momentum, hold_norm=options.hold_norm)
    return MuonAndAdamW(muon, AdamW(_groups(model, rest, options), **adam))


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
