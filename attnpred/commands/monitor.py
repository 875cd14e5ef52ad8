"""Tell how far new input, answers and attention have drifted from what a run knows; exit code 3 for an alarm.

Without --on and --log it makes the reference alone: statistics of validation, kept in the run, and its false alarms.
"""

import argparse
from pathlib import Path

from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import path_of
from attnpred.runs.run import Run

ALARM = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument(
        "overrides", nargs="*", metavar="override", help="data.… or trainer.… options for the reference"
    )
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--on", metavar="TABLE", help="new input: CSV, JSON lines, Parquet or Arrow")
    given.add_argument("--log", metavar="DIR", help="what attnpred serve --log kept")
    parser.add_argument("--column", action="append", default=[], metavar="NAME", help="which column holds the input")
    parser.add_argument("--label", metavar="NAME", help="which column holds the truth, to look at calibration")
    parser.add_argument("--labels", metavar="TABLE", help="of a log: a table of id and label, which came later")
    parser.add_argument("--last", type=int, default=1000, metavar="N", help="newest rows of a log; rows of a table")
    parser.add_argument("--least", type=float, default=1.0, metavar="X", help="multiplies the bounds of alarms")
    parser.add_argument(
        "--reference",
        choices=("val", "test"),
        help="split that new input should be like (default: val, if test is like it)",
    )
    parser.add_argument("--html", metavar="FILE", help="write a page, that needs nothing but itself")
    parser.add_argument("--prometheus", metavar="FILE", help="write gauges, for a collector of text files")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    from attnpred.config import compose

    run = Run.find(args.run)
    config = compose.changed(run.config(), args.overrides, ("data", "trainer"))
    if args.last < 1 or not args.least > 0:
        raise UserError("--last and --least: must be above 0")
    if args.labels is not None and args.log is None:
        raise UserError("--labels: belongs to a log; give --log DIR, or --label NAME with --on")

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.inference.monitoring.monitor import Asked, monitor
    from attnpred.inference.monitoring.report import render, text_of, write_prometheus

    def place(text: str | None, flag: str) -> Path | None:
        return None if text is None else path_of(text, f"{flag} ")

    asked = Asked(
        on=place(args.on, "--on"),
        log=place(args.log, "--log"),
        columns=args.column,
        label=args.label,
        labels=place(args.labels, "--labels"),
        last=args.last,
        least=args.least,
        split=args.reference,
    )
    story = monitor(run, config, asked)
    if story is None:
        say(f"reference: kept in {run.path / 'reference'}")
        return 0
    if args.html:
        from attnpred.pages.page import write_page

        write_page(path_of(args.html, "--html "), render(story), "--html")
        say(f"page: {args.html}")
    if args.prometheus:
        write_prometheus(path_of(args.prometheus, "--prometheus "), story)
    if args.json:
        stdout.write_json(story)
    else:
        stdout.show(text_of(story))
    return ALARM if story["alarm"] else 0
