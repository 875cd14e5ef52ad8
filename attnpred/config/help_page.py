"""The help of the launch command: what was changed, every group with its files, every option with value and meaning."""

from collections.abc import Sequence

from attnpred.config import compose, describe, schema
from attnpred.config.describe import Described

HEAD = """\
attnpred train [override…]             train, test, print the run directory; the same as python train.py
attnpred train -m [override…]          every combination of comma-separated values
attnpred train model=bert --help       explain the options of that choice
attnpred train hydra/sweeper=optuna --help  explain those of a search
attnpred train --cfg job [override…]   print the resolved config; hydra prints launcher and sweeper, all prints both
attnpred train --info [override…]      say which files the config is made of, and which options were changed
attnpred train --package mypkg …       use a package of yours too: its classes, and its files in conf/
attnpred train --config-dir DIR …      choose among files of yours too: DIR/GROUP/NAME.yaml is chosen by GROUP=NAME

A file of yours, DIR/model/small.yaml, builds upon another and says what differs:

    defaults: [transformer]
    width: 64

An experiment, DIR/experiment/mine.yaml, sets options of every group:

    # @package _global_
    defaults:
      - override /model: small
      - override /data: imdb
    optimizer:
      lr: 1e-4
"""


def page(overrides: list[str], extra_dir: str | None = None) -> str:
    """The whole help, for the configuration that the overrides describe."""
    found = options(overrides, extra_dir)
    changes = changed(found)
    lines = []
    if changes:
        lines += ["Other than the defaults:", *changes, ""]
    lines += [HEAD, "Groups (choose a file with group=name):", ""]
    lines += [
        f"  {group:14} {', '.join(compose.group_options(group, extra_dir))}" for group in compose.groups(extra_dir)
    ]
    section = None
    for option in found:
        head = _section(option.path)
        if head != section:
            lines += ["", f"Options of {head}:" if head else "Options:"]
            section = head
        lines.append(f"  {option.path}={schema.show(option.value)}")
        lines.append(f"      {option.doc} ({option.allowed})")
    return "\n".join(lines)


def options(overrides: list[str], extra_dir: str | None = None) -> list[Described]:
    """Every option of the config that the overrides describe, and of what runs a sweep's jobs."""
    config = compose.compose(overrides, extra_dir)
    parts = zip(compose.ENGINE, compose.engine(overrides, extra_dir), strict=True)
    of_sweeps = [option for part, found in parts for option in describe.describe(found, f"hydra.{part}")]
    return [*describe.describe(config), *of_sweeps]


def changed(found: Sequence[Described]) -> list[str]:
    """The options that are other than without any override, each with what it is then, where there is such a one."""
    usual = {option.path: option.value for option in options([])}
    lines = []
    for option in found:
        if option.path not in usual:
            lines.append(f"  {option.path}={schema.show(option.value)}")
        elif option.value != usual[option.path]:
            lines.append(f"  {option.path}={schema.show(option.value)}  (else {schema.show(usual[option.path])})")
    return lines


def _section(path: str) -> str:
    if "." not in path:
        return ""
    return path.rpartition(".")[0] if path.startswith("hydra.") else path.partition(".")[0]
