"""The options of training that goes on from a run: what keeps it from forgetting."""

from dataclasses import dataclass
from typing import Literal

from attnpred.config.schema import option


@dataclass(kw_only=True)
class ContinualConfig:
    classes: Literal["add", "same"] = option(
        "What becomes of classes that the run does not know: they are added to its own, or taken, in their order, for "
        "the same.",
        default="add",
    )
    replay: int = option(
        "Training examples of earlier tasks in the buffer, drawn at random, as many of each task; 0 for none.",
        ge=0,
        le=10_000_000,
        default=0,
    )
    replay_share: float = option("Share of a step's examples that come from the buffer.", gt=0, lt=1, default=0.5)
    ewc: float = option(
        "Weight of elastic weight consolidation: what earlier tasks depend on is held where it was.", ge=0, default=0.0
    )
    fisher_examples: int = option(
        "Training examples of each earlier task that tell what it depends on.", ge=1, le=10_000_000, default=500
    )
    distillation: float = option(
        "Weight of how far answers are from those that the run gave before, to new and replayed examples.",
        ge=0,
        default=0.0,
    )
    temperature: float = option(
        "What both answers are divided by for that, where they are of classes.", gt=0, default=2.0
    )

    def any(self) -> bool:
        """True where anything is done against forgetting."""
        return bool(self.replay or self.ewc or self.distillation)
