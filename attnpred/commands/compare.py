"""Compare runs: mean ± deviation over seeds or folds, and what differs in config beside what differs in result."""

import argparse

from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import path_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from attnpred.compare import where

    parser.add_argument("places", nargs="+", metavar="RUN_OR_DIR", help="run directory, or one that holds some")
    where.declare(
        parser, "only what it holds of, as model=bert or optimizer.lr<1e-4; of a result's mean, as test/accuracy>0.8"
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="result to show, the first to sort and test by; repeatable (default: what checkpoints were chosen by)",
    )
    parser.add_argument("--sort", metavar="NAME", help="option or result to sort by (default: the first metric)")
    parser.add_argument("--reverse", action="store_true", help="sort the other way round")
    parser.add_argument(
        "--against", metavar="CONDITION", help="row that the others are tested against (default: the first)"
    )
    form = parser.add_mutually_exclusive_group()
    for name in ("markdown", "json", "csv"):
        form.add_argument(f"--{name}", action="store_true", help=f"print {'JSON' if name == 'json' else name.upper()}")
    parser.add_argument("--html", metavar="FILE", help="write a page with curves, that needs nothing but itself")


def main(args: argparse.Namespace) -> int:
    from attnpred.compare import index, sentences, table, where
    from attnpred.compare.comparison import compare
    from attnpred.pages.page import write_page

    conditions = where.conditions(args.where)
    against = where.condition(args.against, "--against") if args.against else None
    found = index.find(args.places)
    if not found.records:
        raise UserError(f"{' '.join(args.places)}: no run directory at or below it; give one as train.py prints it")
    compared = compare(
        found.records,
        conditions=conditions,
        metrics=args.metric,
        sort=args.sort,
        reverse=args.reverse,
        against=against,
    )
    index.tell(found, compared.left_out)
    for note in [*compared.notes, *sentences.told(compared)]:
        say(f"note: {note}")
    if args.html:
        from attnpred.compare.page import render

        write_page(path_of(args.html, "--html "), render(compared), "--html")
        say(f"page: {args.html}")
    form = next((name for name in ("markdown", "json", "csv") if getattr(args, name)), "text")
    stdout.show(
        {"markdown": table.markdown, "json": table.as_json, "csv": table.as_csv, "text": table.text}[form](compared)
    )
    return 0
