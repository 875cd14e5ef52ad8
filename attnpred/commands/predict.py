"""Label new input with a trained run: a JSON line an input, with the parts of the input and their attention."""

import argparse

from attnpred.config import compose
from attnpred.console import stdout
from attnpred.errors import BadInput, UserError
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="text, image file, or - for a line each from stdin")
    parser.add_argument("--no-attention", action="store_true", help="leave out the maps: shorter lines, and faster")
    parser.add_argument("--explainer", metavar="NAME", help="whose map to give in place of the model's own attention")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = run.config()
    if args.explainer is not None:
        compose.explainer(args.explainer)
        if args.no_attention:
            raise UserError(f"--explainer {args.explainer}: makes maps, which --no-attention leaves out; give one")

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.inference.inputs import Inputs
    from attnpred.inference.predict import predict

    inputs = Inputs(args.inputs, run.reader())
    try:
        for result in predict(run, config, inputs, args.explainer, not args.no_attention):
            stdout.write_json(result)
    except BadInput as error:
        raise inputs.named(error) from None
    return 0
