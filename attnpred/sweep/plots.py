"""A finished search as pictures: how it went, what mattered, and what was tried."""

import warnings
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
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of axes on which all values are alike
                    plot(study, target_name=objective, **several)
                    plt.gcf().savefig(directory / f"{kind}{suffix}.svg", bbox_inches="tight")
            except (ValueError, RuntimeError):
                continue  # results are all alike, so that nothing can have mattered
            finally:
                plt.close("all")
            files.append(directory / f"{kind}{suffix}.svg")
    return files
