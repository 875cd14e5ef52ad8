"""Compose and validate every config and all that goes together, or the one given, without training."""

import argparse
import itertools
import sys

from attnpred.config import compose
from attnpred.console import stdout
from attnpred.errors import Theirs, UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "overrides", nargs="*", metavar="override", help="key=value; without any, everything shipped and of packages"
    )
    parser.add_argument("--config-dir", help="a further directory of config files")


def main(args: argparse.Namespace) -> int:
    if args.overrides:
        compose.compose(args.overrides, args.config_dir)
        stdout.write(f"ok: {' '.join(args.overrides)}")
        return 0
    failures = 0
    for name in compose.group_options(compose.APART):
        compose.explainer(name)
        stdout.write(f"ok: --explainer {name}")
    for overrides in shipped(args.config_dir):
        try:
            compose.compose(overrides, args.config_dir)
            stdout.write(f"ok: {' '.join(overrides)}")
        except UserError as error:
            failures += 1
            print(f"error: {' '.join(overrides)}: {error}", file=sys.stderr)
        except Theirs as error:
            failures += 1
            print(f"error: {' '.join(overrides)}:\n{error.text}", end="", file=sys.stderr)
    return 2 if failures else 0


def shipped(extra_dir: str | None = None) -> list[list[str]]:
    """Every model, dataset and task that go together, and every file of the other groups on top of the default."""
    models, datasets, tasks = (compose.group_options(group, extra_dir) for group in ("model", "data", "task"))
    triples = [
        [f"model={model}", f"data={data}", f"task={task}"]
        for model, data, task in itertools.product(models, datasets, tasks)
        if compose.fitting(model, data, task, extra_dir)
    ]
    others = [group for group in compose.groups(extra_dir) if group not in ("model", "data", "task")]
    return triples + [[f"{group}={name}"] for group in others for name in compose.group_options(group, extra_dir)]
