"""Test a suspicion: exchange or add words in a run's inputs, and see how often its answer flips."""

import argparse
import sys

from attnpred.console import stdout
from attnpred.errors import BadInput, UserError
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="text; without any, of a split")
    parser.add_argument("--replace", action="append", default=[], metavar="OLD=NEW", help="words exchanged; repeatable")
    parser.add_argument(
        "--add", action="append", default=[], metavar="WORDS", help="words added at the end; repeatable"
    )
    parser.add_argument("--split", choices=["train", "val", "test"], default="val", help="which split (default: val)")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="inputs of the split (default: 1000)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = run.config()
    if not args.replace and not args.add:
        raise UserError("attnpred probe: say what to change, by --replace OLD=NEW or --add WORDS")
    if args.limit < 1:
        raise UserError(f"--limit {args.limit}: must be at least 1")

    from attnpred.inference.probe import adding, probe, replacing

    changes = [*map(replacing, args.replace), *map(adding, args.add)]

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.console import tables
    from attnpred.inference.inputs import Inputs

    inputs = Inputs(args.inputs, run.reader())
    try:
        found = probe(run, config, changes, inputs if args.inputs else None, args.split, args.limit)
    except BadInput as error:
        raise inputs.named(error) from None
    print(tables.probe_table(found), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        stdout.write_json({"run": str(run.path), "split": None if args.inputs else args.split, "changes": found})
    return 0
