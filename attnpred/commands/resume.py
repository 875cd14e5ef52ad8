"""Go on with a run that was interrupted or failed, exactly where it was last saved, in its own directory."""

import argparse

from attnpred import ranks
from attnpred.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")


def main(args: argparse.Namespace) -> int:
    def work(lead: ranks.Lead | None) -> Run:
        run = Run.find(args.run)
        run.config()

        from attnpred.settle import settle

        settle()
        from attnpred.train import resume

        return resume(run, lead)

    return ranks.together(work)
