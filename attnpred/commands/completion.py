"""Print what gives a shell tab completion: bash, zsh or fish.

For bash, in ~/.bashrc: source <(attnpred completion bash)
For zsh, in ~/.zshrc: source <(attnpred completion zsh)
For fish: attnpred completion fish > ~/.config/fish/completions/attnpred.fish
"""

import argparse
import ast
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from attnpred.console import stdout
from attnpred.errors import UserError

SHELLS = ("bash", "fish", "zsh")
HERE = Path(__file__).parent
PLACES = ("RUN", "DIR", "RUN_OR_DIR")  # what arguments are called that name runs
MOST_RUNS = 40
RUNS, SWEEP = "outputs", "sweep.json"  # where runs lie by default, and what tells the directory of a sweep
ENDED = ("=", ".", "/", ",")  # of a word after which more is to follow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", nargs="?", choices=SHELLS, help="whose completion to print")
    parser.add_argument("--line", help=argparse.SUPPRESS)  # what was typed so far, as those scripts ask


def main(args: argparse.Namespace) -> int:
    if args.line is None and args.shell is None:
        raise UserError(f"attnpred completion: for which shell? give one of {', '.join(SHELLS)}")
    if args.line is None:
        text = (HERE / "completions" / f"attnpred.{args.shell}").read_text(encoding="utf-8")
        stdout.write(text.removesuffix("\n"))
    elif found := candidates(args.line):
        stdout.show("\n".join(found))
    return 0


def candidates(line: str) -> list[str]:
    """What the last word of the line may become; nothing where that is a file's name, which the shell knows."""
    words = _words(line)[1:]
    if not words:
        return []
    *before, partial = words
    if not before:
        verbs = sorted(file.stem for file in HERE.glob("[a-z]*.py"))
        return [verb for verb in [*verbs, "--help"] if verb.startswith(partial)]
    verb = Verb.read(before[0])
    if verb is None:
        return []
    flag, equals, value = partial.partition("=")
    if equals and flag in verb.flags:
        return [f"{flag}={one}" for one in _of_flag(verb, flag) if one.startswith(value)]
    if before[-1] in verb.flags and verb.flags[before[-1]] is not None:
        return [one for one in _of_flag(verb, before[-1]) if one.startswith(partial)]
    if partial.startswith("-"):
        return [flag for flag in verb.flags if flag.startswith(partial)]
    return _of_arguments(verb, before[1:], partial)


def _of_arguments(verb: "Verb", before: list[str], partial: str) -> list[str]:
    found: list[str] = []
    if len(verb.choices) > len(before):
        found += [one for one in verb.choices[len(before)] if one.startswith(partial)]
    if verb.takes_runs and (verb.takes_several or not before):
        found += runs(partial)
    if verb.takes_overrides and (not verb.takes_runs or before):
        from attnpred.config import completion

        completion.trust(before)
        overrides = completion.Overrides(before, _given(before, "--config-dir"))
        found += overrides.candidates(partial)
    return found


@dataclass
class Verb:
    """What a verb takes, read in its file's text: importing it would take longer than a person waits."""

    flags: dict[str, list[str] | None] = field(default_factory=dict)  # with their choices; None: takes no value
    choices: list[list[str]] = field(default_factory=list)  # of arguments in their order
    takes_runs: bool = False
    takes_several: bool = False
    takes_overrides: bool = False

    @classmethod
    def read(cls, name: str) -> "Verb | None":
        file = HERE / f"{name}.py"
        if not name.isidentifier() or not file.is_file():
            return None
        verb = cls({"--help": None, "--package": []})
        tree = ast.parse(file.read_text(encoding="utf-8"))
        constants = _constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr == "add_argument":
                    verb._take(node, constants)
                elif node.func.attr == "declare":  # of conditions on runs, which several verbs share
                    verb.flags["--where"] = []
        return verb

    def _take(self, node: ast.Call, constants: dict[str, object]) -> None:
        names = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        known = {word.arg: word.value for word in node.keywords}
        if not names or isinstance(known.get("help"), ast.Attribute):  # not told by the text, or suppressed
            return
        choices = _literal(known.get("choices"), constants)
        listed = [str(one) for one in choices] if isinstance(choices, list | tuple) else []
        single = _literal(known.get("action"), constants) in ("store_true", "store_const")
        if names[0].startswith("-"):
            self.flags |= dict.fromkeys(names, None if single else listed)
            return
        metavar = _literal(known.get("metavar"), constants)
        self.takes_overrides |= metavar == "override"
        self.takes_runs |= metavar in PLACES
        self.takes_several |= metavar in PLACES and known.get("nargs") is not None
        if listed:
            self.choices.append(listed)


def _of_flag(verb: Verb, flag: str) -> list[str]:
    if flag == "--explainer":
        from attnpred.config.folders import group_options

        return group_options("explainer")
    return verb.flags[flag] or []


def _constants(tree: ast.Module) -> dict[str, object]:
    found: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with suppress(ValueError):
                found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def _literal(node: ast.expr | None, constants: dict[str, object]) -> object:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "list":
        found = _literal(node.args[0], constants)
        return list(found) if isinstance(found, dict) else None
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    with suppress(ValueError, TypeError):
        return ast.literal_eval(node) if node is not None else None
    return None


def _words(line: str) -> list[str]:
    """The words so far; the last one is empty where a space stands before it."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is not closed yet
        words = line.split()
    return [*words, ""] if not line or line[-1].isspace() else words


def _given(words: list[str], flag: str) -> str | None:
    for place, word in enumerate(words):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and place + 1 < len(words):
            return words[place + 1]
    return None


def runs(partial: str) -> list[str]:
    """Run and sweep directories that begin so: the newest below outputs, and directories on the way to others."""
    made = [file.parent for file in (*Path(RUNS).glob("*/*/run.json"), *Path(RUNS).glob(f"*/*/{SWEEP}"))]
    newest = map(str, sorted(made, reverse=True))  # their names begin with date and time
    found = [path for path in newest if path.startswith(partial)][:MOST_RUNS]
    if found:
        return found
    place, start = os.path.split(partial)
    try:
        entries = [entry for entry in os.scandir(place or ".") if entry.name.startswith(start) and entry.is_dir()]
    except OSError:
        return []
    shown = [entry for entry in entries if not entry.name.startswith(".") or start.startswith(".")]
    return sorted(os.path.join(place, entry.name) + ("" if _is_run(entry.path) else "/") for entry in shown)  # noqa: PTH118


def _is_run(path: str) -> bool:
    return any(Path(path, name).is_file() for name in ("run.json", SWEEP))
