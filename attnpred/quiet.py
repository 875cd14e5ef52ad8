"""Keeps libraries' notices that say nothing to a user off the terminal; their warnings about real trouble stay."""

import logging
import warnings

# each a message whose advice does not apply here, with the reason
NOTICES = (
    r".*does not have many workers.*",  # batches are cut from arrays in memory; workers would only copy them
    r".*The number of training batches .* is smaller than the logging interval.*",  # epochs log at their end too
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",  # inside Lightning
    r".*Experiment logs directory .* exists and is not empty.*",  # the run directory holds the config already
)


def settle() -> None:
    """To be called before a trainer is made."""
    import pytorch_lightning  # noqa: F401  importing it sets the levels that are changed here

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for notice in NOTICES:
        warnings.filterwarnings("ignore", message=notice)
