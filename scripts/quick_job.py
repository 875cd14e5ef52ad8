"""Stands in for a run, where a sweep's own doing is looked at: writes the records that a sweep reads, and ends.

`python -m scripts.quick_job train -m …` is a sweep whose jobs are of this kind.
"""

import json
import os
import sys
import time
from pathlib import Path

PAUSE = "QUICK_JOB_SECONDS"  # that each takes
PROGRAM = [sys.executable, "-I", "-S", __file__]  # in place of attnpred's own


def main() -> int:
    if "--run-dir" not in sys.argv:
        from attnpred import cli
        from attnpred.sweep import job

        job.PROGRAM[:] = PROGRAM
        return cli.main()
    time.sleep(float(os.environ.get(PAUSE, "0")))
    place = Path(sys.argv[sys.argv.index("--run-dir") + 1])
    (place / "metrics.json").write_text(json.dumps({"val": {"best": {"accuracy": 0.5}}}))
    (place / "run.json").write_text(json.dumps({"status": "done"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
