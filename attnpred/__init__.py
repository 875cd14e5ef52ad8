"""attnpred: train models that predict attention, and measure how far it can be believed."""

from collections.abc import Sequence
from importlib import import_module
from os import PathLike, fspath
from types import ModuleType
from typing import TYPE_CHECKING

from attnpred.machine import lazy_imports
from attnpred.version import __version__

if TYPE_CHECKING:
    from attnpred.inference.trained import Runs, Trained

    runs: "_Runs"

__all__ = ["__version__", "load", "runs", "train"]
lazy_imports.install()


def load(run: str | PathLike[str], packages: Sequence[str] = ()) -> "Trained":
    """A trained run, by its directory: `attnpred.load(RUN).predict("a fine film")`.

    `packages` are those that you trust beside attnpred, as by `--package`.
    """
    from attnpred.config.packages import trust
    from attnpred.inference.trained import Trained

    if packages:
        trust(packages)
    return Trained(fspath(run))


def train(*overrides: str, config_dir: str | None = None, packages: Sequence[str] = ()) -> "Trained":
    """Trains as `attnpred train` does, and returns the run: `attnpred.train("model=transformer", "data=sst2")`.

    A mistake raises `attnpred.errors.UserError`; Ctrl-C saves, and raises `attnpred.errors.Interrupted`.
    """
    from attnpred.config.compose import compose
    from attnpred.config.packages import trust
    from attnpred.machine.process_setup import settle

    if packages:
        trust(packages)
    config = compose(list(overrides), config_dir)
    settle()
    from attnpred.training.train import launch

    return load(launch(config, list(overrides)).path)


class _Runs(ModuleType):
    """The room `attnpred.runs`, which may be called: a room and a function of one name would hide one another."""

    def __call__(self, *places: str, where: Sequence[str] = ()) -> "Runs":
        """The runs below directories, or below `outputs`: `attnpred.runs(where=["model=bert"]).to_pandas()`."""
        from attnpred.compare.listing import found
        from attnpred.inference.trained import Runs

        return Runs(one.described() for one in found(places or ("outputs",), where))


if not TYPE_CHECKING:
    import_module("attnpred.runs").__class__ = _Runs
