"""Go on with a run that was interrupted or failed, exactly where it was last saved, in its own directory."""

import argparse
import os
import sys

from attnpred import stdout
from attnpred.config import LoggerConfig
from attnpred.errors import UserError
from attnpred.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    _confirm(run.config().logger)

    from attnpred.settle import settle

    settle()
    from attnpred.train import resume

    resume(run)
    sys.stderr.flush()
    stdout.write(str(run.path))
    return 0


def _confirm(logger: LoggerConfig) -> None:
    """The run may be a stranger's, whose server would be sent what is measured, and the password of one's own."""
    address = logger.tracking_uri if logger.mlflow else None
    if address is not None and address != os.environ.get("MLFLOW_TRACKING_URI"):
        raise UserError(
            f"logger.tracking_uri={address}: is what the run says; if you trust that server, say so by "
            f"MLFLOW_TRACKING_URI={address}"
        )
