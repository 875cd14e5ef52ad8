"""Label new input with a trained run: a JSON line an input, with the parts of the input and their attention."""

import argparse
from typing import Any

from attnpred.config import compose
from attnpred.config.options import Config
from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import BadInput, UserError
from attnpred.files import path_of
from attnpred.inference.named import by_name
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="text, image file, or - for a line each from stdin")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one of several inputs of an example, by name",
    )
    parser.add_argument("--no-attention", action="store_true", help="leave out the maps: shorter lines, and faster")
    parser.add_argument("--explainer", metavar="NAME", help="whose map to give in place of the model's own attention")
    parser.add_argument("--beam", type=int, metavar="N", help="of answers that are texts: beams that look for them")
    parser.add_argument("--nbest", type=int, metavar="N", help="how many such answers to give, the likeliest first")
    parser.add_argument("--length-penalty", type=float, metavar="A", help="power of the length that divides a score")
    parser.add_argument("--sample", action="store_true", help="draw such answers at random")
    parser.add_argument("--temperature", type=float, metavar="T", help="of drawing: below 1 likely tokens more often")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw among so many of the likeliest tokens")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw among the likeliest tokens of this probability")
    parser.add_argument("--file", metavar="TABLE", help="answer all rows of a table: CSV, JSON lines, Parquet, Arrow")
    parser.add_argument("--out", metavar="TABLE", help="where those answers go: .parquet, .jsonl or .csv")
    parser.add_argument("--column", action="append", default=[], metavar="NAME", help="which column holds the input")
    parser.add_argument("--keep", action="append", default=[], metavar="NAME", help="a column to have beside answers")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = run.config()
    if args.explainer is not None:
        compose.explainer(args.explainer)
        if args.no_attention:
            raise UserError(f"--explainer {args.explainer}: makes maps, which --no-attention leaves out; give one")
    args.inputs += by_name(args.input)
    if (args.file is None) != (args.out is None) or bool(args.inputs) == bool(args.file):
        raise UserError("attnpred predict: give inputs, or a table by --file and --out")

    from attnpred.machine.process_setup import settle

    settle()
    if args.file is not None:
        return _table(run, config, args)
    from attnpred.inference.inputs import Inputs
    from attnpred.inference.predict import predict

    inputs = Inputs(args.inputs, run.reader())
    try:
        for result in predict(run, config, inputs, args.explainer, not args.no_attention, _decoding(args)):
            stdout.write_json(result)
    except BadInput as error:
        raise inputs.named(error) from None
    return 0


def _decoding(args: argparse.Namespace) -> dict[str, Any]:
    """What was said of how answers are looked for, that are texts."""
    given = {
        "beam": args.beam,
        "best": args.nbest,
        "length_penalty": args.length_penalty,
        "sample": args.sample or None,
        "temperature": args.temperature,
        "top_k": args.top_k,
        "top_p": args.top_p,
    }
    return {name: value for name, value in given.items() if value is not None}


def _table(run: Run, config: Config, args: argparse.Namespace) -> int:
    from attnpred.inference.batch_prediction import Asked, predict_table

    file, out = path_of(args.file, "--file "), path_of(args.out, "--out ")
    asked = Asked(file, out, args.column, args.keep, args.explainer, not args.no_attention, _decoding(args))
    count = predict_table(run, config, asked)
    say(f"answers: {out} ({count:,} rows)")
    return 0
