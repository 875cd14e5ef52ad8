"""Go on with a run that was interrupted or failed, exactly where it was last saved, in its own directory."""

import argparse
import sys

from attnpred import stdout
from attnpred.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    run.config()

    from attnpred.settle import settle

    settle()
    from attnpred.train import resume

    resume(run)
    sys.stderr.flush()
    stdout.write(str(run.path))
    return 0
