"""How long a bad override takes to be answered, as a ratio to `python -c "import hydra"` in the same run.

python scripts/answer_time.py
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS = 15
PEER = [sys.executable, "-c", "import hydra"]
CASES = {
    "unknown option": ["optimizer.lrr=1"],
    "wrong type": ["trainer.max_epochs=three"],
    "wrong choice": ["model=resnet"],
    "stray key": ["+key=typo"],
    "impossible pair": ["model=bert", "data=cifar10"],
}


def seconds(command: list[str], expected: int) -> float:
    start = time.perf_counter()
    code = subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode
    elapsed = time.perf_counter() - start
    assert code == expected, (command, code)
    return elapsed


def main() -> None:
    for name, overrides in CASES.items():
        ours = [sys.executable, "train.py", *overrides]
        # in turns, so that a noisy moment falls on both
        pairs = [(seconds(ours, 2), seconds(PEER, 0)) for _ in range(ROUNDS)]
        ratios = [a / b for a, b in pairs]
        print(
            f"{name:16} {statistics.median(ratios):.2f} × import hydra "
            f"(range {min(ratios):.2f} to {max(ratios):.2f}, {1000 * statistics.median(a for a, _ in pairs):.0f} ms)"
        )


if __name__ == "__main__":
    main()
