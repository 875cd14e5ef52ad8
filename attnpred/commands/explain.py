"""Explain a trained run's answers, measure how far that can be believed, and write it as one HTML page."""

import argparse
import sys

from attnpred.config import compose
from attnpred.console import stdout
from attnpred.errors import BadInput, UserError
from attnpred.files import path_of
from attnpred.inference.named import by_name
from attnpred.pages import figure
from attnpred.runs.run import Run

DEFAULT = ["attention", "integrated_gradients"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="text or image file; without any, of a split")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one of several inputs of an example, by name",
    )
    parser.add_argument("--split", choices=["train", "val", "test"], default="val", help="which split (default: val)")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="examples of the split (default: 100)")
    parser.add_argument(
        "--explainer", action="append", metavar="NAME", help=f"repeatable (default: {' and '.join(DEFAULT)})"
    )
    parser.add_argument("--removal", help="how parts are taken away to measure: mask, delete (texts) or blur (images)")
    parser.add_argument("--protocol", action="store_true", help="measure by all there is (docs/trust.md)")
    parser.add_argument("--twin", metavar="RUN", help="a run of another seed, whose maps are compared with these")
    parser.add_argument("--beside", metavar="RUN", help="another run, whose attention is shown on the same inputs")
    parser.add_argument(
        "--prototypes", type=int, default=0, metavar="N", help="show of each example N training examples like it"
    )
    parser.add_argument("--figure", metavar="FILE", help="draw the examples for a paper too: .pdf, .svg, .png or .tex")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of writing a page")
    parser.add_argument("--tensorboard", action="store_true", help="draw the maps beside the run's curves too")
    parser.add_argument("--output", metavar="FILE", help="the page's place (default: in RUN/explanations)")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = run.config()
    if args.limit < 1:
        raise UserError(f"--limit {args.limit}: must be at least 1")
    args.inputs += by_name(args.input)
    if args.prototypes < 0:
        raise UserError(f"--prototypes {args.prototypes}: must be at least 0")
    if args.figure:
        figure.check(path_of(args.figure, "--figure "))
    names = list(dict.fromkeys(args.explainer or DEFAULT))
    for name in names:
        compose.explainer(name)

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.console import tables
    from attnpred.explain.page import render
    from attnpred.explain.run import explain
    from attnpred.inference.inputs import Inputs
    from attnpred.pages.page import write_page

    inputs = Inputs(args.inputs, run.reader())
    try:
        story = explain(
            run,
            config,
            names=names,
            inputs=inputs if args.inputs else None,
            split=args.split,
            limit=args.limit,
            removal=args.removal,
            protocol=args.protocol,
            twin=None if args.twin is None else Run.find(args.twin),
            beside=None if args.beside is None else Run.find(args.beside),
            prototypes=args.prototypes,
        )
    except BadInput as error:
        raise inputs.named(error) from None
    if story["faithfulness"] is not None:
        print("\n\n".join(tables.faithfulness_tables(story["faithfulness"])), file=sys.stderr)
    if args.tensorboard:
        from attnpred.explain.tensorboard import draw

        try:
            draw(run, story)
        except OSError as error:
            raise UserError(
                f"{run.path}: TensorBoard's events cannot be written ({error.strerror}); leave out --tensorboard"
            ) from None
    if args.figure:
        drawing = path_of(args.figure, "--figure ")
        write_page(drawing, figure.figure(story["examples"], story["explainers"], drawing), "--figure")
    if args.json:
        stdout.write_json(story)
        return 0
    default = run.path / "explanations" / f"{story['split'] or 'inputs'}.html"
    file = path_of(args.output, "--output ") if args.output else default
    write_page(file, render(story), "--output")
    stdout.write(str(file))
    return 0
