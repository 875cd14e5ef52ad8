"""FastSHAP (Jethani et al. 2022): Shapley values from one pass of a network that was trained on the run to tell them.

It is a copy of the model whose predicted attention is trained alone, with all layers below it; the model is left as it
is. `attnpred train explainer=fastshap explainer.run=RUN` trains it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.config.schema import option
from attnpred.contracts import Batch
from attnpred.errors import UserError
from attnpred.explain.base import Explainer, look, own_parts
from attnpred.explain.removal import Removing
from attnpred.models.base import Model
from attnpred.models.predicted import require_predicted
from attnpred.runs import checkpoint_files
from attnpred.tasks.base import Task

LEAST = 1e-4  # a chance below which its odds are cut


@dataclass(kw_only=True)
class FastShapConfig(ExplainerConfig):
    """Options of FastSHAP."""

    run: str | None = option("Run to train it on.")
    epochs: int = option("Times that the run's train part is gone through.", ge=1, le=100_000)
    max_steps: int | None = option("Steps at most; null goes through all epochs.", ge=1, le=2**31, default=None)
    lr: float = option("Highest learning rate.", gt=0)
    pairs: int = option("Sets of parts that are tried out of each example, each with all others.", ge=1, le=1_000)
    seed: int = option("Seed of order, dropout and sets.", ge=0, le=2**32 - 1)


class FastShap(Explainer):
    signed: ClassVar[bool] = True
    config: FastShapConfig

    def __init__(self, config: FastShapConfig, model: Model, task: Task) -> None:
        super().__init__(config, model, task)
        self.network: Model | None = None  # as found in the run directory, unless one is given

    @torch.no_grad()
    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        if self.network is None:
            self.network = loaded(self.model)
        return told(self.network.to(choice.device), batch, choice)


def folder(home: Path) -> Path:
    """Where a run directory keeps it."""
    return home / "explainers" / "fastshap"


def loaded(model: Model) -> Model:
    """The network that was trained for a run's model."""
    how = "attnpred train explainer=fastshap explainer.run=RUN"
    if model.home is None:
        raise UserError(f"--explainer fastshap: is trained on a run; train it by {how}")
    file = folder(model.home) / checkpoint_files.LAST
    if not file.is_file():
        raise UserError(f"--explainer fastshap: none was trained on {model.home}; train it by {how}")
    content = checkpoint_files.load(file)
    if not content.get("done"):
        raise UserError(f"--explainer fastshap: its training on {model.home} has not ended; go on with it by {how}")
    network = fresh(model)
    try:
        network.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise UserError(f"{file}: is of another model ({str(error).splitlines()[0]}); train it again") from None
    return network.eval()


def fresh(model: Model) -> Model:
    """A copy of the model that tells a number of any sign a part, all of it ready to be trained."""
    config = replace(model.config, attention_loss="faithful", frozen_levels=0, frozen=[])
    network = type(model).restore(config, model.spec, model.home or Path())
    require_predicted(network)
    assert network.predicted is not None
    network.predicted.alone = True
    known = network.state_dict()
    given = {key: value for key, value in model.state_dict().items() if not key.startswith("predicted.")}
    network.load_state_dict({**known, **given})
    return network


def told(network: Model, batch: Batch, choice: Tensor) -> Tensor:
    """A number of any sign for each part, (batch, parts)."""
    _, attention = look(network, batch, layers=False, choice=choice)
    own = own_parts(batch, attention.grids)
    return attention.importance if own is None else attention.importance * own


def loss(network: Model, removing: Removing, batch: Batch, pairs: int, *, odds: bool = False) -> Tensor:
    """How far sums of a set's numbers are from what the set alone says, by Shapley's kernel: a scalar.

    With `odds` what a set says is, of a probability, its log-odds.
    """
    with torch.no_grad():
        output, attention = look(removing.model, batch, layers=False)
        choice, grids = removing.task.choose(output), attention.grids
        own = own_parts(batch, grids)
        every = torch.ones_like(attention.importance, dtype=torch.bool) if own is None else own
        kept = torch.stack(list(_sets(every, pairs)))  # (sets, batch, parts)
        ends = torch.stack((torch.zeros_like(every), every))  # nothing gone, and all
        scores = removing.scores(batch, choice, torch.cat((ends, every & ~kept)), grids)
        scores = scores.logit(eps=LEAST) if odds and removing.task.bounded else scores
        whole, nothing, alone = scores[0], scores[1], scores[2:]  # (batch,) each, and (sets, batch)
    numbers = told(network, batch, choice)
    count = every.sum(1)
    # what is left over is shared out, so that they add up to what all parts say
    rest = (whole - nothing - numbers.sum(1)) / count
    numbers = (numbers + rest[:, None]) * every
    said = (kept * numbers).sum(2) + nothing
    some = count > 1
    return ((said - alone).square().mean(0) * some).sum() / some.sum().clamp(min=1)


def _sets(every: Tensor, pairs: int) -> Iterator[Tensor]:
    """Sets of an example's parts, (batch, parts) bool, of sizes as likely as Shapley's kernel has it, and the rests."""
    count = every.sum(1)
    sizes = torch.arange(1, every.shape[1] + 1, device=every.device)
    possible = sizes < count[:, None]  # (batch, sizes)
    weight = torch.where(possible, 1 / (sizes * (count[:, None] - sizes).clamp(min=1)), 0.0)
    weight[:, 0] += ~possible.any(1)
    for _ in range(pairs):
        # drawn where generators are kept, whatever the device
        size = 1 + torch.multinomial(weight.cpu(), 1).to(every.device)  # (batch, 1)
        keys = torch.rand(every.shape).to(every.device).masked_fill(~every, torch.inf)
        some = (keys.argsort(1).argsort(1) < size) & every
        yield some
        yield every & ~some
