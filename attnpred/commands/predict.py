"""Label new input with a trained run: a JSON line an input, with the parts of the input and their attention."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from attnpred import compose
from attnpred.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="text, image file, or - for a line each from stdin")
    parser.add_argument("--explainer", metavar="NAME", help="whose map to give in place of the model's own attention")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = run.config()
    if args.explainer is not None:
        compose.explainer(args.explainer)

    from attnpred.settle import settle

    settle()
    from attnpred.predict import predict

    for result in predict(run, config, _inputs(args.inputs), args.explainer):
        _print(result)
    return 0


def _inputs(given: list[str]) -> Iterator[str]:
    for value in given:
        if value == "-":
            yield from (line.rstrip("\n") for line in sys.stdin)
        else:
            yield value


def _print(result: dict[str, Any]) -> None:
    print(json.dumps(result, ensure_ascii=False), flush=True)
