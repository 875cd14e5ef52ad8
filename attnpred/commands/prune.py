"""Free disk: delete the checkpoints of all but the best runs, or whole runs, after asking.

Of each pair of model and data the best runs stay, by the metric that they chose their checkpoint by or by --metric. Of
the others checkpoints are deleted, and config, records and curves stay; with --what runs their directories are. What
is at work is never touched, what is not done only where --where names its status.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import UserError

if TYPE_CHECKING:
    from attnpred.compare.cleanup import Plan

MOST_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from attnpred.compare import where

    parser.add_argument("places", nargs="+", metavar="DIR", help="where runs lie")
    parser.add_argument("--keep", metavar="best:N", help="how many runs of each model and data stay whole; needed")
    parser.add_argument("--metric", metavar="NAME", help="what is best (default: what checkpoints were chosen by)")
    where.declare(parser, "only among runs of which it holds, as status=failed or model=bert")
    parser.add_argument(
        "--what", choices=["checkpoints", "runs"], default="checkpoints", help="what is deleted (default: checkpoints)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would be deleted")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def main(args: argparse.Namespace) -> int:
    from attnpred.compare import index, where
    from attnpred.compare.cleanup import plan

    conditions = where.conditions(args.where)
    found = index.find(args.places)
    keep = _keep(args.keep)
    where.check([c.name for c in conditions], found.records)
    if args.metric is not None:
        where.check([args.metric], found.records, "--metric")
    made = plan(found.records, conditions, keep, args.metric, args.what)
    index.tell(found, {})
    for reason, count in made.kept.items():
        say(f"kept: {count:,} run{'s' * (count != 1)} {reason}")
    if not made.victims:
        say("nothing to delete")
        return 0
    if args.dry_run:
        stdout.show(_listed(made, len(made.victims)))
        say(f"{_summed(made)} would be deleted")
        return 0
    if not args.yes and not _agreed(made):
        say("nothing was deleted")
        return 0
    return _carry_out(made)


def _keep(given: str | None) -> int:
    if given is None:
        raise UserError("--keep: missing; say how many of the best runs stay, as --keep best:3")
    kind, _, count = given.partition(":")
    if kind != "best" or not count.isascii() or not count.isdigit():
        raise UserError(f"--keep {given}: must be best:N, as best:3")
    return int(count)


def _agreed(made: "Plan") -> bool:
    if not sys.stdin.isatty():
        raise UserError("--yes: needed where there is no terminal to ask at; --dry-run lists what would be deleted")
    say(_listed(made, MOST_SHOWN))
    print(f"Delete {_summed(made)}? This cannot be undone. [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _listed(made: "Plan", most: int) -> str:
    from attnpred.compare.status import human_size, shown
    from attnpred.console import tables

    rows = [[shown(v.run.path), v.run.status, human_size(v.bytes)] for v in made.victims[:most]]
    more = len(made.victims) - most
    rest = f"\n… and {more:,} more; --dry-run lists all" if more > 0 else ""
    return tables.align([["run", "status", "frees"], *rows]) + rest


def _summed(made: "Plan") -> str:
    from attnpred.compare.status import human_size

    count = len(made.victims)
    whole = "checkpoints of " if made.what == "checkpoints" else ""
    return f"{whole}{count:,} run{'s' * (count != 1)}, {human_size(made.bytes)}"


def _carry_out(made: "Plan") -> int:
    from attnpred.compare.cleanup import carry_out
    from attnpred.compare.status import human_size, shown

    freed, failures = 0, []
    for victim in made.victims:
        try:
            freed += carry_out(victim.run, made.what)
            stdout.show(shown(victim.run.path))
        except UserError as error:
            failures.append(str(error))
        except OSError as error:
            failures.append(f"{error.filename or victim.run.path}: cannot be deleted ({error.strerror})")
    say(f"freed {human_size(freed)}")
    if failures:
        raise UserError(f"{len(failures)} of {len(made.victims)} runs were left: {'; '.join(failures[:3])}")
    return 0
