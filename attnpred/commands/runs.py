"""List runs: what each is, how it stands, what it reached and what it takes; with --running how far each is."""

import argparse
from typing import TYPE_CHECKING, Any

from attnpred.console import stdout
from attnpred.console.say import say

if TYPE_CHECKING:
    from attnpred.compare.record import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from attnpred.compare import where

    parser.add_argument(
        "places", nargs="*", default=["outputs"], metavar="DIR", help="where runs lie (default: outputs)"
    )
    parser.add_argument("--running", action="store_true", help="only those at work, and how far each is")
    where.declare(parser, "only runs of which it holds, as status=failed or model=bert")
    parser.add_argument("--json", action="store_true", help="print a JSON object a run")


def main(args: argparse.Namespace) -> int:
    from attnpred.compare import index, where
    from attnpred.compare.status import DEAD, living
    from attnpred.console import tables

    conditions = where.conditions(args.where)
    found = index.find(args.places)
    records = sorted(map(living, found.records), key=lambda one: (str(one.about.get("started", "")), str(one.path)))
    where.check([c.name for c in conditions], records)
    chosen = where.chosen(records, conditions)
    if args.running:
        dead = [one for one in chosen if one.status == DEAD]
        chosen = [one for one in chosen if one.status == "running"]
        if dead:
            say(f"dead, to go on with by attnpred resume: {len(dead)}; --where status={DEAD}")
    index.tell(found, {})
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


def _standing(one: "Record") -> list[str]:
    from attnpred.compare.status import age, human_size, human_time, shown, size

    taken = human_size(size(one.path))
    return [shown(one.path), one.problem or one.status, *_names(one), _result(one), human_time(age(one)), taken]


def _progressing(one: "Record") -> list[str]:
    from attnpred.compare.status import progress, shown
    from attnpred.console.tables import clock

    at = progress(one)
    places = [_of(at.epoch, at.epochs), _of(at.step, at.total)]
    return [shown(one.path), *_names(one), *places, _result(one), "–" if at.left is None else clock(at.left)]


def _names(one: "Record") -> list[str]:
    from attnpred.compare.table import option

    return [option(one.config.get(name, ...)) for name in ("model", "data", "seed")]


def _of(done: int | None, whole: int | None) -> str:
    return "–" if done is None else f"{done:,}" + (f"/{whole:,}" if whole else "")


def _metric(one: "Record") -> tuple[str, float | None]:
    """What the run's checkpoint is chosen by: its best value where it is done, else the newest."""
    from attnpred.compare.status import progress

    name = str(one.config.get("checkpoint.monitor"))
    return name, one.results.get(name) if one.status == "done" else progress(one).metric


def _result(one: "Record") -> str:
    from attnpred.compare.table import number

    name, value = _metric(one)
    return "–" if value is None else f"{name} {number(value)}"


def _described(one: "Record", running: bool) -> dict[str, Any]:
    from attnpred.compare.record import held, known
    from attnpred.compare.status import progress, size

    name, value = _metric(one)
    told = {"run": str(one.path), "problem": one.problem, **one.about}
    options = {key: held(one.config.get(key)) for key in ("model", "data", "seed")}
    result = {"metric": name, "value": known(value), "bytes": size(one.path)}
    at = progress(one) if running else None
    far = {"step": at.step, "steps": at.total, "epoch": at.epoch, "epochs": at.epochs, "left": at.left} if at else {}
    return {**told, **options, **result, **far}
