"""A finished search as pictures: how it went, what mattered, and what was tried."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import optuna
from optuna.trial import TrialState

matplotlib.use("agg")
FEWEST = 2  # trials that make a picture


def write(study: optuna.Study, names: list[str], directory: Path) -> list[Path]:
    """Draws what can be drawn as SVG files, a picture for each objective; returns them."""
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]
    if len(done) < FEWEST:
        return []
    import matplotlib.pyplot as plt
    from optuna.visualization import matplotlib as draw

    kinds: dict[str, Callable[..., Any]] = {
        "history": draw.plot_optimization_history,
        "importance": draw.plot_param_importances,
        "slice": draw.plot_slice,
        "parallel_coordinate": draw.plot_parallel_coordinate,
    }
    directory.mkdir(exist_ok=True)
    files = []
    for index, objective in enumerate(names):
        several: dict[str, Any] = {"target": lambda trial, i=index: trial.values[i]} if len(names) > 1 else {}
        for kind, plot in kinds.items():
            suffix = f"-{objective.replace('/', '-')}" if len(names) > 1 else ""
            try:
                plot(study, target_name=objective, **several)
            except (ValueError, RuntimeError):
                continue  # all alike, so that nothing can have mattered
            files.append(directory / f"{kind}{suffix}.svg")
            plt.gcf().savefig(files[-1], bbox_inches="tight")
            plt.close("all")
    return files
