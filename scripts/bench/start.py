"""From the command to the first optimizer step, against importing what training cannot do without, in seconds.

    python -m scripts.bench.start --pairs 3

A start counts when another went before it, which has prepared the data and brought files into memory.
"""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial

from scripts.bench import harness
from scripts.bench.first_step import SPAWNED
from scripts.bench.harness import Comparison, Options

IMPORTS = "import torch, torchvision, pytorch_lightning"


def our_side(options: Options, *, overrides: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        command = ["-m", "scripts.bench.first_step", *overrides, f"output_dir={directory}"]
        started(command)
        return {"start": float(started(command)[0])}


def peer_side(options: Options) -> dict[str, float]:
    started(["-c", IMPORTS])
    return {"start": started(["-c", IMPORTS])[1]}


def started(arguments: list[str]) -> tuple[str, float]:
    """What a fresh interpreter printed, and how long it took to the end."""
    start = time.time()
    environment = {**os.environ, SPAWNED: repr(start)}
    command = [sys.executable, *arguments]
    finished = subprocess.run(command, cwd=harness.ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return finished.stdout.strip(), time.time() - start


STARTS = {
    "digits": (["data=digits"], 1.5),
    "imdb": (["model=transformer", "data=imdb"], 3.0),
    "sst2": (["model=transformer", "data=sst2"], 3.0),
}
BENCHMARK = harness.Benchmark(
    module="scripts.bench.start",
    sides={
        "imports": peer_side,
        **{name: partial(our_side, overrides=overrides) for name, (overrides, _) in STARTS.items()},
    },
    comparisons=tuple(
        Comparison(
            f"from `train.py {' '.join(overrides)}` to the first step",
            f"`{IMPORTS}`",
            f"{name}/start",
            "imports/start",
            unit="s",
            target=target,
            difference=True,
        )
        for name, (overrides, target) in STARTS.items()
    ),
)

if __name__ == "__main__":
    harness.main(BENCHMARK, __doc__)
