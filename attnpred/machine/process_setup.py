"""What a process sets once, before it works: how memory and threads are held, and which notices nobody needs to see."""

import ctypes
import logging
import os
import warnings

from attnpred.machine import threads

# Read once, when torch is imported; children inherit it. Threads that spin for as long as they do by default while they
# wait bring a machine to a standstill that other work uses too.
ENVIRONMENT = {"GOMP_SPINCOUNT": "100000"}
# each a message whose advice does not apply here, with the reason
NOTICES = (
    r".*does not have many workers.*",  # batches are cut from arrays in memory; workers would only copy them
    r".*The number of training batches .* is smaller than the logging interval.*",  # epochs log at their end too
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",  # inside Lightning
    r".*Experiment logs directory .* exists and is not empty.*",  # the run directory holds the config already
)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's names for malloc's settings


def settle() -> None:
    """To be called before a trainer is made."""
    load = threads.Load()
    _keep_memory()
    import pytorch_lightning  # noqa: F401  importing it sets the levels that are changed here
    import torch

    if not torch.cuda.is_available():
        # torch asks in every optimizer step, and without a GPU looks for the driver's library each time
        os.environ["CUDA_VISIBLE_DEVICES"] = ""

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for notice in NOTICES:
        warnings.filterwarnings("ignore", message=notice)
    threads.follow(load)  # while the imports took their seconds


def _keep_memory() -> None:
    """What a step frees stays for the next one, instead of being handed back and faulted in again page by page."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:  # glibc alone has it
        mallopt(M_MMAP_MAX, 0)  # all comes from the heap, features of a large batch too
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
