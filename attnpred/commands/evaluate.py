"""Measure a trained run on a split: metrics as JSON on stdout, as a table on stderr."""

import argparse
import sys

from attnpred.config import compose
from attnpred.console import stdout
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("overrides", nargs="*", metavar="override", help="data.… or trainer.… options to change")
    parser.add_argument("--split", choices=["val", "test"], default="test", help="which split (default: test)")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = compose.changed(run.config(), args.overrides, ("data", "trainer"))

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.console import tables
    from attnpred.inference.evaluate import evaluate

    task = run.task()
    result = evaluate(run, config, args.split, task)
    print(tables.evaluation_table(result, args.split, task.tables), file=sys.stderr)
    stdout.write_json({"run": str(run.path), "split": args.split, **result})
    return 0
