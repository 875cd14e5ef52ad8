"""Share a run: a folder in the layout of the Hugging Face hub, sent there where a token and a network are.

`attnpred.load("hub:ORG/NAME")` reads it, and so does every command that takes a run directory.
"""

import argparse

from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import path_of
from attnpred.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("name", metavar="ORG/NAME", nargs="?", help="of the repository")
    parser.add_argument("--out", metavar="DIR", help="the folder (default: export/hub in the run directory)")
    parser.add_argument("--private", action="store_true", help="for your organisation alone")
    parser.add_argument("--folder-only", action="store_true", help="do not send it")


def main(args: argparse.Namespace) -> int:
    run = Run.find(args.run)
    if args.name is None:
        raise UserError(f"attnpred push {args.run}: where to? give ORG/NAME, the repository")
    config = run.config()

    from attnpred.inference.export import hub_folder

    hub_folder.check_name(args.name)
    directory = run.path / "export" / "hub" if args.out is None else path_of(args.out, "--out ")
    hub_folder.write(run, config, directory)
    if args.folder_only or hub_folder.token() is None:
        why = "as asked" if args.folder_only else "no token of the hub's is here: hf auth login, or set HF_TOKEN"
        say(f"not sent ({why})")
    else:
        say(f"sent to {hub_folder.send(directory, args.name, private=args.private)}")
    stdout.write(str(directory))
    return 0
