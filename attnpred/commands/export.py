"""Make a file of a run that answers without attnpred, attention included, checked against the run.

The folder holds the model as ONNX or as a program of torch.export, and what reads its input. An example runs it, and a
model card describes it. Of answers and attention check.json says how near they are to the run's.
"""

import argparse
from pathlib import Path
from typing import Any

from attnpred.config import compose
from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import path_of
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("overrides", nargs="*", metavar="override", help="data.… options to change, for the check")
    parser.add_argument("--format", choices=["onnx", "torch"], default="onnx", help="what file (default: onnx)")
    parser.add_argument("--out", metavar="DIR", help="where to (default: export/… in the run directory)")
    smaller = parser.add_mutually_exclusive_group()
    smaller.add_argument(
        "--int8",
        nargs="?",
        const="dynamic",
        choices=["dynamic", "static"],
        help="weights in 8 bits; static measures activations on validation data beforehand (default: dynamic)",
    )
    smaller.add_argument("--half", action="store_true", help="weights and products in float16, for GPUs")
    parser.add_argument("--examples", type=int, default=200, help="of validation, to compare on (default: 200)")
    parser.add_argument(
        "--measured", type=int, default=1_000, help="of validation, to measure what int8 loses (default: 1000)"
    )


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    config = compose.changed(run.config(), args.overrides, ("data",))
    for name in ("examples", "measured"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} {getattr(args, name)}: must be 1 or more")
    if args.format == "torch" and (args.int8 or args.half):
        raise UserError("--format torch: is written in float32 alone; leave out --int8 and --half, or take onnx")

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.inference.export.folder import Asked, export, name_of

    precision: Any = f"int8-{args.int8}" if args.int8 else "float16" if args.half else "float32"
    asked = Asked(args.format, precision, args.examples, args.measured)
    place = run.path / "export" / name_of(asked) if args.out is None else path_of(args.out, "--out ")
    told = export(run, config, Path(place), asked)
    say(_line(told))
    stdout.write_json({"export": str(place), **told})
    return 0


def _line(told: dict) -> str:
    agreed = (
        f"{told['examples']} examples of validation: {told['agreement']:.1%} of the answers agree, numbers differ by "
        f"{told['largest_difference']:.1e}, shares of attention by {told['largest_attention_difference']:.1e}"
    )
    if "quantised" not in told:
        return agreed
    found = told["quantised"]
    sizes = found["bytes"]
    return f"{agreed}; {sizes['now'] / sizes['float32']:.0%} of the size, {found['speedup']:.2f} × the speed of float32"
