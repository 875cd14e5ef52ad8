"""The example of docs/compare.md: trains two rates with three seeds each on digits, and writes the table.

python -m scripts.compare_example
"""

import subprocess
import sys
import tempfile
from datetime import date

from scripts.machine import machine
from scripts.tables import DOCS, put

SWEEP = ["data=digits", "model.width=16", "trainer.max_epochs=1", "optimizer.lr=0.01,0.1", "seed=0,1,2"]


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(
            [sys.executable, "-m", "attnpred", "train", "-m", *SWEEP, f"output_dir={place}"],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        write(place)


def write(place: str) -> None:
    """The table of the runs below the place."""
    compare = [sys.executable, "-m", "attnpred", "compare", place, "--markdown"]
    table = subprocess.run(compare, capture_output=True, text=True, check=True).stdout
    typed = f"`attnpred train -m {' '.join(SWEEP)}`, then `attnpred compare outputs --markdown`:"
    put(f"{typed}\n\n{table}\n{machine()}, {date.today()}.", "compare", DOCS / "compare.md")


if __name__ == "__main__":
    main()
