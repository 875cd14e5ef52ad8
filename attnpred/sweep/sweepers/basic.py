"""Every combination of the values that are swept over, in the order in which Hydra's own sweeper runs them."""

from dataclasses import dataclass

from attnpred.config import SweeperConfig


@dataclass(kw_only=True)
class BasicConfig(SweeperConfig):
    pass
