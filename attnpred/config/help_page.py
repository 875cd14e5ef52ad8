"""The help of the launch command: every group with its files, every option with value, range and meaning."""

from attnpred.config import compose, describe, schema

HEAD = """\
python train.py [override…]          train, test, print the run directory
python train.py -m [override…]       every combination of comma-separated values
python train.py --cfg job [override…]  print the resolved config
python train.py model=bert --help    explain the options of that choice
python train.py hydra/sweeper=optuna --help  explain those of a search
python train.py --package mypkg …    use a package of yours too: its classes, and its files in conf/

Groups (choose a file with group=name):
"""


def page(overrides: list[str], extra_dir: str | None = None) -> str:
    """The whole help, for the configuration that the overrides describe."""
    config = compose.compose(overrides, extra_dir)
    parts = zip(compose.ENGINE, compose.engine(overrides, extra_dir), strict=True)
    of_sweeps = [option for part, options in parts for option in describe.describe(options, f"hydra.{part}")]
    lines = [HEAD]
    lines += [
        f"  {group:14} {', '.join(compose.group_options(group, extra_dir))}" for group in compose.groups(extra_dir)
    ]
    section = None
    for option in [*describe.describe(config), *of_sweeps]:
        head = option.path.rpartition(".")[0] if option in of_sweeps else option.path.partition(".")[0]
        head = head if "." in option.path else ""
        if head != section:
            lines += ["", f"Options of {head}:" if head else "Options:"]
            section = head
        lines.append(f"  {option.path}={schema.show(option.value)}")
        lines.append(f"      {option.doc} ({option.allowed})")
    return "\n".join(lines)
