"""List runs: what each is, how it stands, what it reached and what it takes; with --running how far each is."""

import argparse
from typing import TYPE_CHECKING, Any

from attnpred.console import stdout
from attnpred.console.say import say

if TYPE_CHECKING:
    from attnpred.compare.listing import Listed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from attnpred.compare import where

    parser.add_argument(
        "places", nargs="*", default=["outputs"], metavar="DIR", help="where runs lie (default: outputs)"
    )
    parser.add_argument("--running", action="store_true", help="only those at work, and how far each is")
    where.declare(parser, "only runs of which it holds, as status=failed or model=bert")
    parser.add_argument("--json", action="store_true", help="print a JSON object a run")


def main(args: argparse.Namespace) -> int:
    from attnpred.compare import listing
    from attnpred.compare.status import DEAD
    from attnpred.console import tables

    chosen = listing.found(args.places, args.where)
    if args.running:
        dead = [one for one in chosen if one.record.status == DEAD]
        chosen = [one for one in chosen if one.record.status == "running"]
        if dead:
            say(f"dead, to go on with by attnpred resume: {len(dead)}; --where status={DEAD}")
    if args.json:
        for one in chosen:
            stdout.write_json(_described(one, args.running))
        return 0
    if not chosen:
        say("no runs")
        return 0
    row, head = (_progressing, PROGRESS) if args.running else (_standing, STANDING)
    stdout.show(tables.align([head, *map(row, chosen)]))
    return 0


STANDING = ["run", "status", "model", "data", "seed", "result", "age", "size"]
PROGRESS = ["run", "model", "data", "seed", "epoch", "step", "result", "left"]


def _standing(one: "Listed") -> list[str]:
    from attnpred.compare.status import age, human_size, human_time, shown, size

    record = one.record
    taken = human_size(size(record.path))
    return [
        shown(record.path),
        record.problem or record.status,
        *_names(one),
        _result(one),
        human_time(age(record)),
        taken,
    ]


def _progressing(one: "Listed") -> list[str]:
    from attnpred.compare.status import progress, shown
    from attnpred.console.tables import clock

    at = progress(one.record)
    places = [_of(at.epoch, at.epochs), _of(at.step, at.total)]
    return [shown(one.record.path), *_names(one), *places, _result(one), "–" if at.left is None else clock(at.left)]


def _names(one: "Listed") -> list[str]:
    from attnpred.compare.table import option

    return [option(one.record.config.get(name, ...)) for name in ("model", "data", "seed")]


def _of(done: int | None, whole: int | None) -> str:
    return "–" if done is None else f"{done:,}" + (f"/{whole:,}" if whole else "")


def _result(one: "Listed") -> str:
    from attnpred.compare.table import number

    name, value = one.result()
    return "–" if value is None else f"{name} {number(value)}"


def _described(one: "Listed", running: bool) -> dict[str, Any]:
    from attnpred.compare.status import progress, size

    told = {**one.described(), "bytes": size(one.record.path)}
    at = progress(one.record) if running else None
    far = {"step": at.step, "steps": at.total, "epoch": at.epoch, "epochs": at.epochs, "left": at.left} if at else {}
    return {**told, **far}
