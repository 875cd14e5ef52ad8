"""`python -m scripts.bench.first_step OVERRIDE…` is train.py up to its first optimizer step, and then exits at once.

Prints the seconds since the time that is given in SPAWNED. Nothing is imported that train.py would not import by then,
nor in another order.
"""

import os
import runpy
import sys
import time
from typing import Any

SPAWNED = "BENCH_SPAWNED"


class Watch:
    """Looks, at every import, whether optimizers have been imported; finds no module itself."""

    installed = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        register = getattr(sys.modules.get("torch.optim.optimizer"), "register_optimizer_step_post_hook", None)
        if register is not None and not self.installed:
            self.installed = True
            register(leave)


def leave(*_: Any) -> None:
    print(time.time() - float(os.environ[SPAWNED]), file=sys.__stdout__, flush=True)
    os._exit(0)


if __name__ == "__main__":
    sys.meta_path.insert(0, Watch())
    sys.argv[0] = "train.py"
    runpy.run_path("train.py", run_name="__main__")
