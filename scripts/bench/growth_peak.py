"""Peak memory as every point measures it.

Before: the most that the process ever held (a CPU's ru_maxrss), or what it holds on the GPU, once the same work at its
smallest has brought code, gradients, the optimizer's state and whatever else any size needs. After: the most that was
held by the end of the work. The difference is the work's own: activations and temporary arrays, or rows.
"""

import torch

from attnpred.training.callbacks.monitor import memory_gib


def before() -> float:
    """To be handed to `added`."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    return memory_gib()


def added(before: float) -> float:
    """Bytes."""
    return (memory_gib() - before) * 2**30
