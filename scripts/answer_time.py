"""How long a bad override takes to be answered, as a ratio to `python -c "import hydra"` in the same run.

Then what a person waits for at the prompt: help, the list of runs, and what the tab key proposes. Beside the time on
the clock stands that of the processor, which other work on the machine changes less.

python scripts/answer_time.py [ROUNDS]
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS = 15
PEER = [sys.executable, "-c", "import hydra"]
MISTAKES = {
    "unknown option": ["optimizer.lrr=1"],
    "wrong type": ["trainer.max_epochs=three"],
    "wrong choice": ["model=resnet"],
    "stray key": ["+key=typo"],
    "impossible pair": ["model=bert", "data=cifar10"],
    "several at once": ["optimizer.lrr=1", "trainer.max_epochs=three", "seed=-1"],
}
PROMPT = {
    "--help": ["--help"],
    "runs": ["runs", "."],
    "tab: a verb": ["completion", "--line=attnpred tr"],
    "tab: a file": ["completion", "--line=attnpred train model="],
    "tab: an option": ["completion", "--line=attnpred train model=bert model."],
    "tab: a value": ["completion", "--line=attnpred train trainer.precision="],
}


@dataclass(frozen=True)
class Taken:
    clock: float  # seconds
    processor: float


def taken(command: list[str], expected: int, place: str) -> Taken:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = subprocess.run(command, cwd=place, env=env, capture_output=True, check=False).returncode
    clock = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert code == expected, (command, code)
    return Taken(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def compare(name: str, command: list[str], expected: int, place: str, rounds: int) -> None:
    """In turns with the peer, so that a noisy moment falls on both."""
    pairs = [(taken(command, expected, place), taken(PEER, 0, place)) for _ in range(rounds)]
    clock = [one.clock / peer.clock for one, peer in pairs]
    processor = [one.processor / peer.processor for one, peer in pairs]
    ours = [one for one, _ in pairs]
    milliseconds = [1000 * statistics.median(times) for times in zip(*map(astuple, ours), strict=True)]
    print(
        f"{name:16} {statistics.median(clock):.2f} × import hydra (range {min(clock):.2f} to {max(clock):.2f}, "
        f"{milliseconds[0]:.0f} ms), on the processor {statistics.median(processor):.2f} × ({milliseconds[1]:.0f} ms)",
        flush=True,
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    attnpred = [sys.executable, "-m", "attnpred"]
    with tempfile.TemporaryDirectory() as place:
        for name, overrides in MISTAKES.items():
            compare(name, [*attnpred, "train", *overrides], 2, place, rounds)
        for name, arguments in PROMPT.items():
            compare(name, [*attnpred, *arguments], 0, place, rounds)


if __name__ == "__main__":
    main()
