"""Train, test, and print the run directory.

Overrides are key=value: a group's file (model=bert), or any option (optimizer.lr=1e-5). With -m several values make a
sweep (seed=0,1,2). explainer=fastshap explainer.run=RUN trains an explainer on a run.
"""

import argparse
from pathlib import Path
from typing import Any

from attnpred.config import compose, help_page
from attnpred.console import stdout
from attnpred.errors import UserError
from attnpred.machine import ranks
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", metavar="override", help="key=value")
    parser.add_argument("-h", "--help", action="store_true", help="explain every option of the chosen configuration")
    parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of comma-separated values")
    parser.add_argument("-c", "--cfg", choices=["job", "hydra", "all"], help="print the config instead of training")
    parser.add_argument(
        "--info", action="store_true", help="say which files the config is made of, and what was changed"
    )
    parser.add_argument("--config-dir", metavar="DIR", help="a further directory of config files, DIR/GROUP/NAME.yaml")
    parser.add_argument("--run-dir", help=argparse.SUPPRESS)  # where a sweep wants its job


def main(args: argparse.Namespace) -> int:
    if any(word.startswith("explainer=") for word in args.overrides) and not (args.help or args.multirun):
        return _explainer(args.overrides)
    if args.help:
        stdout.write(help_page.page(args.overrides, args.config_dir))
        return 0
    if args.info:
        from attnpred.config import info

        stdout.write(info.page(args.overrides, args.config_dir))
        return 0
    if args.multirun:
        from attnpred.sweep.multirun import multirun

        if ranks.crew() is not None:
            raise UserError("-m: a sweep is begun by one process, not by several that torchrun or srun started")
        return multirun(args.overrides, args.config_dir)
    if args.cfg:
        stdout.write(_shown(args).removesuffix("\n"))
        return 0

    def work(lead: ranks.Lead | None) -> Path:
        config = compose.compose(args.overrides, args.config_dir)
        from attnpred.machine.process_setup import settle

        settle()
        if args.run_dir:
            from attnpred.sweep import child

            return child.work(config, args.overrides, args.run_dir).path
        from attnpred.training.train import launch

        return launch(config, args.overrides, lead=lead).path

    return ranks.together(work, join)


def _explainer(overrides: list[str]) -> int:
    """Trains an explainer on a run, and prints the run's directory."""
    options: Any = compose.explainer_of(overrides)
    if not hasattr(options, "run"):
        raise UserError(f"{overrides[0]}: needs no training; ask it by attnpred explain RUN --explainer NAME")
    if options.run is None:
        raise UserError("explainer.run=: is missing; name the run to train it on")
    run = Run.find(options.run)
    config = run.config()

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.training.fit_explainer import fit

    with run.held():
        fit(run, config, options)
    stdout.write(str(run.path))
    return 0


def _shown(args: argparse.Namespace) -> str:
    """The part of the config that --cfg asks for, as YAML."""
    parts = []
    if args.cfg in ("job", "all"):
        parts.append(compose.as_yaml(compose.compose(args.overrides, args.config_dir)))
    if args.cfg in ("hydra", "all"):
        parts.append(compose.engine_as_yaml(*compose.engine(args.overrides, args.config_dir)))
    return "".join(parts)


def join(directory: str) -> None:
    """Trains along with the process that made the run directory."""
    from attnpred.training.train import main as train

    train(directory)
