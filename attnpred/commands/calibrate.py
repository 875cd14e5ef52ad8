"""Make a run's answers as sure as they are right: temperature scaling, found on validation and kept in the run."""

import argparse
import sys

from attnpred.config import compose
from attnpred.console import stdout
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("overrides", nargs="*", metavar="override", help="data.… or trainer.… options to change")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = compose.changed(run.config(), args.overrides, ("data", "trainer"))

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.console.tables import align, number
    from attnpred.inference.calibrate import calibrate

    found = calibrate(run, config)
    rows = [
        [name.replace("_", " "), *(number(found[split][when][name]) for split in ("val", "test") for when in WHEN)]
        for name in ("calibration_error", "loss")
    ]
    head = [
        f"temperature {found['temperature']:.3f}",
        *(f"{split} {when}" for split in ("val", "test") for when in WHEN),
    ]
    print(align([head, *rows]), file=sys.stderr)
    stdout.write_json({"run": str(run.path), **found})
    return 0


WHEN = ("before", "after")
