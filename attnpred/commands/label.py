"""Say which rows of a table a person should label next: JSON lines, the most useful first, with a place for the label.

Those come first of which the run is least sure. Of two that it reads alike, by where its attention lies, one will do.
"""

import argparse

from attnpred.console import stdout
from attnpred.errors import UserError
from attnpred.files import path_of
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("file", metavar="FILE", nargs="?", help="table of inputs: CSV, JSON lines, Parquet, Arrow")
    parser.add_argument("--most-uncertain", type=int, default=100, metavar="N", help="how many rows (default: 100)")
    parser.add_argument(
        "--diversity", type=float, default=0.5, metavar="SHARE", help="weight of being different, 0 to 1 (default: 0.5)"
    )
    parser.add_argument("--column", action="append", default=[], metavar="NAME", help="which column holds the input")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    if args.file is None:
        raise UserError(f"attnpred label {args.run}: give FILE, a table of inputs")
    if args.most_uncertain < 1:
        raise UserError(f"--most-uncertain {args.most_uncertain}: asks for no row; give 1 or more")
    if not 0 <= args.diversity <= 1:
        raise UserError(f"--diversity {args.diversity:g}: must lie within 0 and 1")
    file = path_of(args.file)

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.inference.label import most_uncertain

    for row in most_uncertain(run, run.config(), file, args.most_uncertain, args.diversity, args.column):
        stdout.write_json(row)
    return 0
