"""Hydra's multirun: every job a process of its own, with a run directory of its own inside one sweep directory."""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig

from attnpred import compose, processes
from attnpred.run import create_sweep


def multirun(overrides: list[str], extra_dir: str | None = None) -> int:
    """Runs the sweep that the overrides describe; every job's config is checked before the first one starts."""
    config = None
    for combination in compose.expand(overrides):
        config = compose.compose(combination, extra_dir)
    assert config is not None
    directory = create_sweep(config.output_dir)
    failures: list[str] = []

    def job(_: object) -> None:
        ours = HydraConfig.get()
        own = list(ours.overrides.task)
        command = [sys.executable, "-m", "attnpred", "train", *own, "--run-dir", ours.runtime.output_dir]
        code = processes.run(command + (["--config-dir", extra_dir] if extra_dir else []))
        if code:
            failures.append(f"job {ours.job.num} ({' '.join(own)}) failed with exit code {code}")
            print(failures[-1], file=sys.stderr)

    search = [f"hydra.searchpath=[file://{Path(extra_dir).resolve()}]"] if extra_dir else []
    # Hydra reads its own command line; it is given one that says where the sweep lies
    sys.argv = ["train.py", "--multirun", *overrides, f"hydra.sweep.dir={directory}", *search]
    hydra.main(version_base="1.3", config_path=str(compose.CONF), config_name="config")(job)()
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    print(directory)
    return 1 if failures else 0
