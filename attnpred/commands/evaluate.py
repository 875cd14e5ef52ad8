"""Measure a trained run on a split: metrics as JSON on stdout, as a table on stderr.

With --under, of input that is corrupted or attacked too, and what that does to answers and to attention.
"""

import argparse
import sys

from attnpred.config import compose
from attnpred.console import stdout
from attnpred.files import path_of
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("overrides", nargs="*", metavar="override", help="data.… or trainer.… options to change")
    parser.add_argument(
        "--alignments", metavar="FILE", help="of answers that are texts: links of people, a line a row, as 0-0 1-2"
    )
    parser.add_argument("--split", choices=["val", "test"], default="test", help="which split (default: test)")
    parser.add_argument(
        "--under",
        action="append",
        default=[],
        metavar="KIND",
        help="measure worse input beside it: typos, noise, blur, occlusion, shift; or attacks: fgsm, pgd, words",
    )
    parser.add_argument(
        "--severity", action="append", type=int, default=[], choices=range(1, 6), help="of 1 to 5 (default: all)"
    )


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = compose.changed(run.config(), args.overrides, ("data", "trainer"))

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.console import tables
    from attnpred.inference.evaluate import evaluate

    task = run.task()
    if args.under:
        from attnpred.inference.robustness.under import SEVERITIES, table, under

        found = under(run, config, args.split, list(dict.fromkeys(args.under)), args.severity or SEVERITIES)
        print(table(found, config.task.monitor), file=sys.stderr)
        stdout.write_json({"run": str(run.path), "split": args.split, **found})
        return 0
    result = evaluate(run, config, args.split, task)
    if args.alignments is not None:
        from attnpred.inference.alignments import alignment_error

        place = path_of(args.alignments, "--alignments ")
        result["alignment_error_rate"] = alignment_error(run, config, args.split, task, place)
    print(tables.evaluation_table(result, args.split, task.tables), file=sys.stderr)
    stdout.write_json({"run": str(run.path), "split": args.split, **result})
    return 0
