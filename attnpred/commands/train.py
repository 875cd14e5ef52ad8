"""Train, test, and print the run directory.

Overrides are key=value: a group's file (model=bert), or any option (optimizer.lr=1e-5). With -m several values make a
sweep (seed=0,1,2).
"""

import argparse
import sys

from attnpred import compose, manual


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", metavar="override", help="key=value")
    parser.add_argument("-h", "--help", action="store_true", help="explain every option of the chosen configuration")
    parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of comma-separated values")
    parser.add_argument("-c", "--cfg", choices=["job"], help="print the resolved config instead of training")
    parser.add_argument("--config-dir", help="a further directory of config files")
    parser.add_argument("--run-dir", help=argparse.SUPPRESS)  # where a sweep wants its job


def main(args: argparse.Namespace) -> int:
    if args.help:
        print(manual.page(args.overrides, args.config_dir))
        return 0
    if args.multirun:
        from attnpred.sweep.multirun import multirun

        return multirun(args.overrides, args.config_dir)
    config = compose.compose(args.overrides, args.config_dir)
    if args.cfg:
        print(compose.as_yaml(config), end="")
        return 0
    from attnpred.settle import settle

    settle()
    if args.run_dir:
        from attnpred.sweep.child import work

        run = work(config, args.overrides, args.run_dir)
    else:
        from attnpred.train import launch

        run = launch(config, args.overrides)
    sys.stderr.flush()
    print(run.path)
    return 0
