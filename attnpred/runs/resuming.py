"""What a person types to go on with a run or a sweep that ended early."""

import shlex
from pathlib import Path

from attnpred.config import packages


def command(path: Path) -> str:
    """The command that goes on, as it is typed."""
    return shlex.join(["attnpred", "resume", str(path), *packages.arguments()])


def left(path: Path) -> str:
    """What of an interrupted run was saved, and the command that goes on with it."""
    from attnpred.runs import checkpoint_files

    step = checkpoint_files.step(path / "checkpoints")
    if step is None:
        return f"nothing was saved yet; begin it anew by {command(path)}"
    return f"saved up to step {step:,}; go on by {command(path)}"
