"""The options of training on inputs that are changed against the model."""

from dataclasses import dataclass

from attnpred.config.schema import option


@dataclass(kw_only=True)
class AdversarialConfig:
    size: float = option(
        "How far a training example's features are moved up the loss, as a share of their length; 0 for not at all. "
        "Above 0 a step takes three times as long.",
        ge=0,
        le=10,
        default=0.0,
    )
    share: float = option(
        "What the loss of examples that were moved counts beside that of all.", gt=0, le=1, default=0.5
    )
