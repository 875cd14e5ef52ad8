"""An export beside the run it came from: answers and attention on the same examples."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.contracts import Batch, ModelOutput
from attnpred.errors import UserError
from attnpred.inference.export.file_model import FileModel
from attnpred.models.views import answered
from attnpred.tasks.base import Task

# How far an export may part from its run, by number format: of the answers in units of the largest, and of shares of
# attention. Quantised weights part by design, and are measured instead.
BOUNDS = {"float32": (1e-3, 1e-3), "float16": (5e-2, 5e-2)}
LEAST_AGREED = {"float32": 0.999, "float16": 0.98}  # of the answers in words: two that tie may fall either way


@dataclass(frozen=True)
class Check:
    """What check.json holds."""

    split: str
    examples: int
    precision: str
    largest_difference: float  # of numbers of an answer, in units of the largest number that the run answered
    largest_attention_difference: float  # of a part's share
    agreement: float  # share of examples with the same answer in words

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def refuse(self) -> None:
        """Raises where the two part by more than rounding."""
        if self.precision not in BOUNDS:
            return
        answer, attention = BOUNDS[self.precision]
        near = (  # NaN is near to nothing
            self.largest_difference <= answer
            and self.largest_attention_difference <= attention
            and self.agreement >= LEAST_AGREED[self.precision]
        )
        if not near:
            raise UserError(
                f"the export parts from the run by more than rounding: answers by {self.largest_difference:.2g}, "
                f"attention by {self.largest_attention_difference:.2g}, {self.agreement:.2%} of the answers agree; "
                "nothing was written, since it would not say what the run says"
            )


def compare(
    model: Any,
    exported: FileModel,
    task: Task,
    batches: Iterable[Batch],
    *,
    mirror: bool,
    split: str,
    precision: str,
) -> Check:
    """`model` is the run's, in float32 on the CPU."""
    scale = apart = attention = 0.0
    same = count = 0
    for batch in batches:
        with torch.inference_mode():
            true = answered(model, batch, mirror=mirror, need_attention=True)
        if true.tokens is not None:  # what is said is compared, and then how sure each is of the same tokens
            agreed, batch = _saying(true, exported, batch), replace(batch, given=true.tokens)
        found = exported(batch)
        assert true.attention is not None
        assert found.attention is not None
        scale = max(scale, float(_counted(true).abs().max()))
        apart = _largest(apart, _counted(true) - _counted(found))
        alike = _alike(true, found, task)
        attention = _largest(attention, (true.attention.importance - found.attention.importance)[alike])
        same += int((_agreeing(true, found, task) if true.tokens is None else agreed).sum())
        count += len(batch)
    return Check(split, count, precision, apart / max(scale, 1e-6), attention, same / max(count, 1))


def _saying(true: ModelOutput, exported: FileModel, batch: Batch) -> Tensor:
    """(batch,): which answers that are sequences are the same, token for token."""
    assert true.tokens is not None
    tokens = exported.generate(batch).tokens[:, 0]
    steps = max(tokens.shape[1], true.tokens.shape[1])
    one, other = (F.pad(some, (0, steps - some.shape[1]), value=-1) for some in (tokens, true.tokens))
    return (one == other).all(1)


def _counted(output: ModelOutput) -> Tensor:
    """The answers, without those of parts that have none: padding's are nobody's."""
    if output.answered is None or output.answer.ndim == 2:
        return output.answer.float()
    return output.answer.float()[output.answered >= 0]


def _largest(so_far: float, apart: Tensor) -> float:
    if not apart.numel():
        return so_far
    worst = float(apart.abs().max())
    return worst if worst != worst else max(so_far, worst)  # NaN stays NaN


def _alike(true: ModelOutput, found: ModelOutput, task: Task) -> Tensor:
    """(batch,): where both explain the same choice: of two that tie, either may be explained."""
    return task.answer.choose(true.answer, true.answered) == task.answer.choose(found.answer, found.answered)


def _agreeing(true: ModelOutput, found: ModelOutput, task: Task) -> Tensor:
    """(batch,): the same in words; of numbers, near enough."""
    if task.answer.centred:
        scale = true.answer.abs().max().clamp(min=1e-6)
        return ((true.answer - found.answer).abs() <= BOUNDS["float32"][0] * scale).flatten(1).all(1)
    said = [[task.headline(one)[0] for one in task.describe(output)] for output in (true, found)]
    return torch.tensor([one == other for one, other in zip(*said, strict=True)])
