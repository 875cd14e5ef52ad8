"""The temperature by which a run's answers are as often right as they say, found on validation."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config.options import Config
from attnpred.contracts import AnswerSpec
from attnpred.data.splits import Split
from attnpred.errors import UserError
from attnpred.files import write_json
from attnpred.machine.device import choose
from attnpred.models.views import answered
from attnpred.runs import calibration
from attnpred.runs.run import Run

BINS = 15  # of equal width, as of the calibration error that evaluation tells
STEPS = 200
LEAST, MOST = 0.01, 100.0  # temperatures that can mean something


@dataclass(frozen=True)
class Said:
    """Answers and truths of a split: (answers, width), and (answers,) of classes or (answers, width) of labels."""

    answers: Tensor
    truths: Tensor

    def loss(self, heat: Tensor) -> Tensor:
        """The negative log-likelihood at a temperature."""
        if self.truths.ndim == 1:
            return F.cross_entropy(self.answers / heat, self.truths)
        return F.binary_cross_entropy_with_logits(self.answers / heat, self.truths)

    def error(self, heat: float) -> float:
        """Expected calibration error: how far from how often answers are right lies how sure they are, on average."""
        if self.truths.ndim == 1:
            sure, said = (self.answers / heat).softmax(-1).max(-1)
            right = (said == self.truths).double()
        else:
            chances = (self.answers / heat).sigmoid().flatten()
            sure = torch.maximum(chances, 1 - chances)
            right = ((chances > 0.5) == (self.truths.flatten() > 0.5)).double()
        bins = (sure.double() * BINS).ceil().long().clamp(1, BINS) - 1
        gaps = torch.zeros(BINS, dtype=torch.double).index_add_(0, bins, sure.double() - right)
        return float(gaps.abs().sum() / len(sure))

    def told(self, heat: float) -> dict[str, float]:
        return {"calibration_error": self.error(heat), "loss": float(self.loss(torch.tensor(heat)))}


def calibrate(run: Run, config: Config) -> dict[str, Any]:
    """Finds the temperature on validation, keeps it in the run, and says what it changes there and on test.

    It is found anew: what an earlier call kept does not count.
    """
    answer = run.task().answer
    if answer.centred or answer.chained or answer.shape not in ("whole", "parts"):
        raise UserError(f"{run.path}: its answers are no chances of classes or labels, which alone can be calibrated")
    splits: tuple[Split, Split] = ("val", "test")
    said = {split: _said(run, config, answer, split) for split in splits}
    heat = fitted(said["val"])
    if not LEAST < heat < MOST:
        raise UserError(
            f"{run.path}: on validation it is always right, or never better than chance; no temperature fits"
        )
    found: dict[str, Any] = {"temperature": heat, "split": "val"}
    found |= {split: {"before": one.told(1.0), "after": one.told(heat)} for split, one in said.items()}
    write_json(run.path / calibration.FILE, found)
    return found


def fitted(said: Said) -> float:
    """The temperature of the highest likelihood."""
    scale = torch.zeros((), requires_grad=True)  # its logarithm
    optimizer = torch.optim.LBFGS([scale], lr=0.1, max_iter=STEPS, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = said.loss(scale.exp())
        loss.backward()
        return loss

    optimizer.step(step)
    return scale.detach().exp().item()


def _said(run: Run, config: Config, answer: AnswerSpec, split: Split) -> Said:
    chosen = choose(config.trainer)
    model = run.load_model().to(chosen.device_type)
    before = calibration.temperature(run.path)
    answers, truths = [], []
    for batch in islice(run.data(config).loader(split), config.trainer.limit_batches):
        moved = batch.to(chosen.device_type)
        with torch.inference_mode(), chosen.autocast():
            output = answered(model, moved, mirror=config.data.mirrors())
        (target,) = moved.targets.values()
        if answer.shape == "parts":
            there = target >= 0
            answers.append(output.answer[there].float().cpu() * before)
            truths.append(target[there].cpu())
        else:
            answers.append(output.answer.float().cpu() * before)
            truths.append(target.cpu())
    return Said(torch.cat(answers), torch.cat(truths))
