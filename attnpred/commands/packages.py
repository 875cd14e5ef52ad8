"""List the packages that attnpred may use, and allow or forget an installed one for good."""

import argparse
from importlib import metadata

from attnpred.config import allowed, packages
from attnpred.console import stdout
from attnpred.console.tables import align


def add_arguments(parser: argparse.ArgumentParser) -> None:
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--allow", metavar="NAME", help="trust an installed package from now on, in every command")
    one.add_argument("--forget", metavar="NAME", help="trust it no more")


def main(args: argparse.Namespace) -> int:
    if args.allow is not None:
        allowed.allow(args.allow, metadata.packages_distributions())
        stdout.write(f"allowed: {args.allow}")
    elif args.forget is not None:
        allowed.forget(args.forget)
        stdout.write(f"forgotten: {args.forget}")
    else:
        stdout.write(align([["package", "version", "status", "place"], *_rows()]))
    return 0


def _rows() -> list[list[str]]:
    """Every package that is trusted, allowed or offered by an installed distribution."""
    offered, kept, trusted = allowed.offered(), allowed.names(), packages.trusted()
    rows = []
    for name in sorted({*offered, *kept, *trusted}):
        status = "allowed" if name in kept else "named" if name in trusted else f"not allowed; --allow {name}"
        place = trusted[name].place if name in trusted else offered.get(name, "not installed")
        rows.append([name, packages.version(name) or "–", status, str(place)])
    return rows
