"""Go on with a run that was interrupted or failed, exactly where it was last saved, or with the jobs of a sweep."""

import argparse
from pathlib import Path

from attnpred import ranks
from attnpred.run import Run
from attnpred.sweep.state import is_sweep


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run or sweep directory")


def main(args: argparse.Namespace) -> int:
    if is_sweep(path := Path(args.run).expanduser()):
        from attnpred.sweep.multirun import resume as resume_sweep

        return resume_sweep(path)

    def work(lead: ranks.Lead | None) -> Run:
        run = Run.find(args.run)
        run.config()

        from attnpred.settle import settle

        settle()
        from attnpred.train import resume

        return resume(run, lead)

    return ranks.together(work)
