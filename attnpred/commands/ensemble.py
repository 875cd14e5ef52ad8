"""Make a run of several: the mean of their answers, or of their weights. Prints the new run directory.

The runs answer one task and read their inputs alike: one dataset, and other seeds, folds, options or models.
"""

import argparse

from attnpred.console import stdout
from attnpred.errors import UserError
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directories, two or more")
    parser.add_argument(
        "--weights", action="store_true", help="average weights, of runs that began with the same: one model's cost"
    )
    parser.add_argument("--output-dir", metavar="DIR", help="where the new run is made (default: as of the first)")


def main(args: argparse.Namespace) -> int:
    if len(args.runs) < 2:
        raise UserError(f"{args.runs[0]}: one run is no ensemble; give two or more")
    runs = [Run.find(name) for name in args.runs]

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.console import tables
    from attnpred.console.say import say
    from attnpred.files import read_json
    from attnpred.inference.ensemble import ensemble

    made = ensemble(runs, weights=args.weights, output_dir=args.output_dir)
    say(tables.final_table(read_json(made.path / "metrics.json"), made.task().tables))
    stdout.write(str(made.path))
    return 0
