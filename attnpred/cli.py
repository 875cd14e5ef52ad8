"""The command `attnpred VERB …`: finds the verb's file, and turns what goes wrong into an exit code.

- 0: done
- 1: our failure, or that of a package's code at work, with its traceback
- 2: the user's mistake, in one line; with its traceback where it is in the code of a package that the user named
- 130: interrupted
- 141: whoever read stdout left
- 143: terminated
"""

import argparse
import ast
import importlib
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

from attnpred import files
from attnpred.config import packages
from attnpred.console import stdout, streams
from attnpred.console.secrets import hide, shown
from attnpred.errors import Interrupted, Theirs, UserError, suggest
from attnpred.machine.process_setup import ENVIRONMENT
from attnpred.version import __version__

VERBS = sorted(file.stem for file in (Path(__file__).parent / "commands").glob("[a-z]*.py"))


def main(argv: list[str] | None = None) -> int:
    """Runs one verb and returns the exit code."""
    with streams.bearable():
        return _answer(sys.argv[1:] if argv is None else argv)


def _answer(arguments: list[str]) -> int:
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    try:
        code = _run(arguments)
        stdout.flush()
        return code
    except UserError as error:
        for line in error.lines:
            print(f"error: {shown(line)}", file=sys.stderr)
        return error.exit_code
    except Theirs as error:
        print(hide(error.text), end="", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except (Interrupted, KeyboardInterrupt) as error:
        ended = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        print(shown(str(ended)), file=sys.stderr)
        return ended.exit_code
    except Exception as error:
        if isinstance(error, OSError) and (reason := files.of_the_disk(error)) is not None:
            print(f"error: {shown(reason)}", file=sys.stderr)
            return UserError.exit_code
        if (text := packages.told(error)) is None:
            raise
        print(hide(text), end="", file=sys.stderr)
        return 1


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        stdout.write(_overview())
        return 0
    if arguments[0] == "--version":
        stdout.write(f"attnpred {__version__}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        raise UserError(f"{verb}: no such command; use one of {', '.join(VERBS)}{suggest(verb, VERBS)}")
    command = _load(verb)
    parser = Parser(prog=f"attnpred {verb}", description=command.__doc__, add_help=verb != "train")
    parser.add_argument(
        "--package",
        action="append",
        default=[],
        metavar="NAME",
        help=f"trust a package, its classes and its conf/; repeatable (or {packages.VARIABLE}=NAME,…)",
    )
    command.add_arguments(parser)
    parsed = parser.parse_intermixed_args(arguments[1:])
    if hasattr(command, "before_trust"):
        command.before_trust(parsed)
    packages.trust(parsed.package)
    code: int = command.main(parsed)
    return code


class Parser(argparse.ArgumentParser):
    """argparse, whose complaints read like every other error."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")


def _load(verb: str) -> ModuleType:
    return importlib.import_module(f"attnpred.commands.{verb}")


def _overview() -> str:
    lines = [f"  {verb:10} {_about(verb)}" for verb in VERBS]
    return "\n".join(["attnpred VERB …", "", *lines, "", "attnpred VERB --help says more."])


def _about(verb: str) -> str:
    """The first line of its file, read without importing what the verb works with."""
    text = Path(__file__).with_name("commands").joinpath(f"{verb}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
