"""Go on with a run that was interrupted or failed, exactly where it was last saved, or with the jobs of a sweep."""

import argparse
import os
from pathlib import Path

from attnpred.commands.train import join
from attnpred.config.options import LoggerConfig
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import path_of
from attnpred.machine import ranks
from attnpred.runs.run import Run
from attnpred.sweep.state import is_sweep


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run or sweep directory")
    parser.add_argument("overrides", nargs="*", metavar="override", help="key=value that a sweep asks for again")


def main(args: argparse.Namespace) -> int:
    if is_sweep(path := path_of(args.run)):
        from attnpred.sweep.multirun import resume as resume_sweep

        return resume_sweep(path, args.overrides)
    if args.overrides:
        raise UserError(f"{args.overrides[0]}: a run goes on as it was begun; give overrides to a sweep alone")

    def work(lead: ranks.Lead | None) -> Path:
        run = Run.find(args.run)
        _confirm(run.config().logger)
        if run.description()["status"] == "done":
            say(f"{run.path}: is done; there is nothing to go on with")
            return run.path

        from attnpred.machine.process_setup import settle

        settle()
        from attnpred.training.train import resume

        return resume(run, lead).path

    return ranks.together(work, join)


def _confirm(logger: LoggerConfig) -> None:
    """The run may be a stranger's, whose server would be sent what is measured, and the password of one's own."""
    address = logger.tracking_uri if logger.mlflow else None
    if address is not None and address != os.environ.get("MLFLOW_TRACKING_URI"):
        raise UserError(
            f"logger.tracking_uri={address}: is what the run says; if you trust that server, say so by "
            f"MLFLOW_TRACKING_URI={address}"
        )
