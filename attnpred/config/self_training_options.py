"""The options of training on rows without labels."""

from dataclasses import dataclass

from attnpred.config.schema import option


@dataclass(kw_only=True)
class SelfTrainingConfig:
    teacher: str | None = option(
        "Run directory whose sure answers become labels of rows that have none.",
        default=None,
    )
    threshold: float = option(
        "How sure an answer must be, as a chance, to become a label or to be held on to.", ge=0, le=1, default=0.95
    )
    consistency: float = option(
        "Weight of how far apart answers to two augmented views of one row without label are.", ge=0, default=0.0
    )
    ratio: float = option(
        "Rows without label that a step looks at for that, for each of its examples.", gt=0, le=1_000, default=1.0
    )

    def any(self) -> bool:
        """True where rows without label are used."""
        return self.teacher is not None or self.consistency > 0
