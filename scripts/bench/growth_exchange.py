"""What an exchange of gradients costs: two processes on this machine sum arrays of several sizes by gloo."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

SIZES = [2**12, 2**16, 2**20, 2**22, 2**24, 2**26]  # bytes
REPEATS, WARM = 15, 3
TWO = 2


def exchange(directory: str, **_: Any) -> dict[str, float]:
    """Seconds that a hop takes whatever it carries, and bytes a second, by a line through the medians."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        torch.multiprocessing.spawn(_rank, (file.name,), TWO)
        medians = Path(f"{file.name}-medians").read_text(encoding="utf-8").split()
    return line_through(SIZES, [float(one) for one in medians])


def line_through(sizes: list[int], seconds: list[float]) -> dict[str, float]:
    """Of two processes each array makes two hops of half its size: 2 × latency + bytes ÷ rate."""
    # errors are ratios, as times are: each point counts by its inverse square
    weights = [1 / s**2 for s in seconds]
    total = sum(weights)
    x = sum(w * n for w, n in zip(weights, sizes, strict=True)) / total
    y = sum(w * s for w, s in zip(weights, seconds, strict=True)) / total
    above = sum(w * (n - x) * (s - y) for w, n, s in zip(weights, sizes, seconds, strict=True))
    slope = above / sum(w * (n - x) ** 2 for w, n in zip(weights, sizes, strict=True))
    return {"hop_seconds": max(y - slope * x, 0.0) / 2, "exchange_rate": 1 / slope}


def _rank(rank: int, name: str) -> None:
    torch.set_num_threads(1)
    place = f"file://{name}-group"
    torch.distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=TWO)
    medians = []
    for size in SIZES:
        array = torch.ones(size // 4)
        taken = []
        for _ in range(REPEATS):
            torch.distributed.barrier()
            start = time.perf_counter()
            torch.distributed.all_reduce(array)
            taken.append(time.perf_counter() - start)
        medians.append(statistics.median(taken[WARM:]))
    if rank == 0:
        Path(f"{name}-medians").write_text("\n".join(map(str, medians)), encoding="utf-8")
    torch.distributed.destroy_process_group()
