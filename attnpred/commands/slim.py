"""Prune a run: heads, MLP units and channels leave, or single weights become 0, and it is trained on a little.

What the answers and the attention feel least leaves first. What comes of it is a run like any other.
"""

import argparse
from dataclasses import replace

from attnpred.config import compose
from attnpred.config.options import Config
from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("overrides", nargs="*", metavar="override", help="data.…, optimizer.… or trainer.… options")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--parameters", type=float, metavar="SHARE", help="of the weights that stay, tables left out")
    target.add_argument("--latency", type=float, metavar="SHARE", help="of the time that a forward pass takes here")
    target.add_argument("--unstructured", type=float, metavar="SHARE", help="of each matrix's weights, that become 0")
    parser.add_argument("--epochs", type=int, default=1, help="to train on (default: 1)")
    parser.add_argument("--examples", type=int, default=256, help="of training, to find what is felt (default: 256)")
    parser.add_argument("--out", default="outputs", metavar="DIR", help="where the new run goes (default: outputs)")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    shares = {name: getattr(args, name) for name in ("parameters", "latency", "unstructured")}
    if not any(share is not None for share in shares.values()):
        raise UserError("attnpred slim: give --parameters, --latency or --unstructured, a share between 0 and 1")
    for name, share in shares.items():
        if share is not None and not 0 < share < 1:
            raise UserError(f"--{name} {share:g}: must lie between 0 and 1")
    for name in ("epochs", "examples"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} {getattr(args, name)}: must be 1 or more")
    own = [f"trainer.max_epochs={args.epochs}", *args.overrides]
    config = compose.changed(run.config(), own, ("data", "optimizer", "trainer"))

    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.training.train import launch

    if args.unstructured is not None:
        model = replace(config.model, init_from=str(run.path.resolve()), sparsity=args.unstructured)
    else:
        model = replace(config.model, init_from=str(run.path.resolve()), slim=_found(run, config, args))
    slim = replace(config, model=model, output_dir=args.out, continue_from=None)
    made = launch(slim, [f"model.init_from={run.path.resolve()}", *own])
    stdout.write(str(made.path))
    return 0


def _found(run: Run, config: Config, args: argparse.Namespace) -> dict[str, str]:
    """What is left of the model, which is asked of examples that it was trained on: validation has to judge it."""
    from attnpred.models import slimming
    from attnpred.training import slim

    model, task = run.load_model(), run.task()
    sample = list(run.data(config).loader("train").sample(args.examples))
    felt = slim.sensitivity(model, task, sample)
    if args.parameters is not None:
        left = slim.to_parameters(model, felt, args.parameters)
    else:
        left = slim.to_latency(model, felt, args.latency, sample[-1])
    counts = {group.name: group.count for group in slimming.groups(model)}
    kinds: dict[str, list[int]] = {}
    for name, count in counts.items():
        of = kinds.setdefault(name.rpartition(".")[2], [0, 0])
        of[0] += len(left[name]) if name in left else count
        of[1] += count
    say("left: " + ", ".join(f"{now:,} of {whole:,} {kind}" for kind, (now, whole) in kinds.items()))
    return slim.beyond(config.model.slim, left, counts)
