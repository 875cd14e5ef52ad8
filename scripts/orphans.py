"""Kills launches, or one of the processes that they start, at random moments, and measures how long any of these lives.

    python -m scripts.orphans

Half of the trials kill (SIGKILL) the command itself, the others one of its processes: the guard of a child, torchrun,
a rank, a job of a sweep. Measured is how long it takes until nothing that descended from the killed one is alive. All
that a trial starts is known by a mark in its environment, so that none escapes by becoming somebody else's child.

Writes `scripts/orphans.json` and the table of docs/reliability.md.
"""

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attnpred.machine.guard import descendants
from scripts import tables
from scripts.machine import machine
from scripts.marked import Tree, gone_after, is_alive

RESULT = Path(__file__).with_suffix(".json")
PAGE = tables.DOCS / "reliability.md"
PROMISED = 5.0  # seconds
SMALL = ["model.width=16", "model.depth=1", "trainer.max_epochs=1000", "checkpoint.every_steps=1", "logger=none"]
TEXTS = [*SMALL, "model=transformer", "data=evidence_text", "data.rows=3000", "model.heads=2", "data.batch_size=64"]
RANKS = ["trainer=ddp_cpu", "trainer.devices=2"]
SWEEP = ["-m", "seed=0,1,2", "hydra.launcher.n_jobs=2"]
KINDS = {
    "a run of two ranks": [*TEXTS, *RANKS],
    "a sweep, two jobs at once": [*TEXTS, *SWEEP],
    "a sweep of runs of two ranks": [*TEXTS, *RANKS, "-m", "seed=0,1"],
}
if find_spec("submitit") is not None:
    KINDS["a sweep by submitit on this machine"] = [*TEXTS, *SWEEP, "hydra/launcher=submitit_local"]
STARTING, TRAINING = 5.0, 5.0  # seconds, from the start or from the first checkpoint, in which it is killed


@dataclass
class Ended:
    kind: str
    killed: str  # the command, or one of its processes
    stage: str
    left: int  # processes that descended from the killed one
    seconds: float  # until none of them was alive


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    started, moments = time.monotonic(), random.Random(args.seed)
    names, ended = list(KINDS), []
    for number in range(args.kills):
        kind = names[number % len(names)]
        one = trial(kind, command=number // len(names) % 2 == 0, moments=moments)
        ended.append(one)
        print(f"{number + 1}: {one.kind}, {one.stage}; {one.killed}, {one.left} left: {one.seconds:.2f} s", flush=True)
    result = {
        "kills": args.kills,
        "promised": PROMISED,
        "kept": sum(one.seconds <= PROMISED for one in ended),
        "kinds": {kind: told_of([one for one in ended if one.kind == kind]) for kind in names},
        "seed": args.seed,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "machine": machine(),
        "date": date.today().isoformat(),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    tables.put(table(result), "orphans", PAGE)
    return 0 if result["kept"] == args.kills else 1


def told_of(ended: list[Ended]) -> dict[str, Any]:
    seconds = sorted(one.seconds for one in ended)
    stages = sorted({one.stage for one in ended})
    return {
        "kills": len(ended),
        "of the command": sum(one.killed == "the command" for one in ended),
        "processes left": sum(one.left for one in ended),
        "median": round(statistics.median(seconds), 2) if seconds else None,
        "longest": round(seconds[-1], 2) if seconds else None,
        "stages": {stage: sum(one.stage == stage for one in ended) for stage in stages},
    }


def table(result: dict[str, Any]) -> str:
    head = (
        "| what was killed | kills | of the command itself | processes it left | gone after, in s: median | longest |"
    )
    columns = ("kills", "of the command", "processes left", "median", "longest")
    rows = [f"| {kind} | {' | '.join(str(of[column]) for column in columns)} |" for kind, of in result["kinds"].items()]
    foot = (
        f"{result['kept']} of {result['kills']} within {result['promised']:g} s; seed {result['seed']}, "
        f"{result['machine']}, {result['date']}."
    )
    return "\n".join([head, "|---|---|---|---|---|---|", *rows, "", foot])


def trial(kind: str, *, command: bool, moments: random.Random) -> Ended:
    """One launch, and one kill: of the command, or of one of its processes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        place = Path(name)
        words = [*KINDS[kind], f"output_dir={place / 'outputs'}", f"data.cache_dir={place / 'cache'}"]
        tree = Tree([sys.executable, "-m", "attnpred", "train", *words])
        try:
            wait(tree, place, moments)
            stage, left = stage_of(place), [one for one in tree.alive() if one != tree.top.pid]
            assert tree.top.poll() is None, f"{kind}: ended by itself"
            below = [one for one in left if descendants(one)]
            if command or not below:
                tree.kill()
                return Ended(kind, "the command", stage, len(left), tree.gone_after())
            return Ended(kind, "one of its processes", stage, *killed(moments.choice(below)))
        finally:
            tree.clear()


def wait(tree: Tree, place: Path, moments: random.Random) -> None:
    """Until it is to be killed: a third of the trials as they start, the others as they train and save."""
    if moments.random() < 1 / 3:
        time.sleep(moments.uniform(0.0, STARTING))
        return
    while tree.top.poll() is None and not list(place.rglob("last.ckpt")):
        time.sleep(0.05)
    time.sleep(moments.uniform(0.0, TRAINING))


def killed(process: int) -> tuple[int, float]:
    """Kills a process; how many it had below it, and the seconds until none of those was alive."""
    os.kill(process, signal.SIGSTOP)  # so that it starts no further one meanwhile
    below = descendants(process)
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)
    alive: Callable[[], list[int]] = lambda: [one for one in below if is_alive(one)]  # noqa: E731
    return len(below), gone_after(alive, 60.0)


def stage_of(place: Path) -> str:
    if list(place.rglob("checkpoints/.*.ckpt.*")):
        return "saving"
    if list(place.rglob("last.ckpt")):
        return "training"
    if list(place.rglob("run.json")):
        return "beginning to train"
    return "preparing data" if list(place.glob("cache/*.part-*")) else "starting"


if __name__ == "__main__":
    sys.exit(main())
