"""attnpred: train models that predict attention, and measure how far it can be believed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnpred.machine import lazy_imports
from attnpred.version import __version__

if TYPE_CHECKING:
    from attnpred.inference.trained import Trained

__all__ = ["__version__", "load"]
lazy_imports.install()


def load(run: str, packages: Sequence[str] = ()) -> "Trained":
    """A trained run, by its directory: `attnpred.load(RUN).predict("a fine film")`.

    `packages` are those that you trust beside attnpred, as by `--package`.
    """
    from attnpred.config.packages import trust
    from attnpred.inference.trained import Trained

    if packages:
        trust(packages)
    return Trained(run)
