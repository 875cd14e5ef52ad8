"""attnpred: train models that predict attention, and measure how far it can be believed."""

from typing import TYPE_CHECKING

from attnpred import put_off

if TYPE_CHECKING:
    from attnpred.trained import Trained

__version__ = "0.1.0"
put_off.install()


def load(run: str) -> "Trained":
    """A trained run, by its directory: `attnpred.load(RUN).predict("a fine film")`."""
    from attnpred.trained import Trained

    return Trained(run)
