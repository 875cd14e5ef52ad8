"""TensorBoard's files of a run: in its directory, so that a chart names the run, and chance in a folder below it."""

from pathlib import Path

CHANCE = "random"  # what TensorBoard adds to the run's name for the curves of an importance at random
OLDER = "tensorboard"  # folder in which runs kept their events once


def place(run: Path) -> Path:
    """Where the run's events are, or will be."""
    return run / OLDER if (run / OLDER).is_dir() else run


def files(run: Path) -> list[Path]:
    found = [file for folder in (run, run / CHANCE, run / OLDER) for file in folder.glob("events.out.tfevents.*")]
    return sorted(file for file in (*found, *(run / OLDER / CHANCE).glob("events.out.tfevents.*")) if file.is_file())
