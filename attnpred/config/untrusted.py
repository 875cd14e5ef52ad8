"""Reading what a stranger may have written: plain data within bounds, that names nothing to be run or looked up."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from attnpred.config.schema import join
from attnpred.errors import UserError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LARGEST_FILE = 4 * 2**20  # bytes of a config
MOST_VALUES, DEEPEST = 100_000, 50
LONGEST_NUMBER = 64  # characters; beyond it no number is meant, and some take hours to read, as those in base 60
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
# Another option's value, as in ${optimizer.epochs}. Whatever else OmegaConf would resolve calls a function.
OPTION = re.compile(r"\$\{[\w.\[\]]+\}")


def read_yaml(file: Path) -> Any:
    """What a YAML file holds, as plain containers."""
    with reading(file):
        if file.stat().st_size > LARGEST_FILE:
            raise UserError(f"{file}: holds more than {LARGEST_FILE // 2**20} MiB, too much for a config")
        return parse(file.read_text(encoding="utf-8"), file)


def parse(text: str, file: Path | str) -> Any:
    """A YAML text as plain containers within bounds; raises the errors that `reading` tells."""
    _bound(text, file)
    try:
        return yaml.load(text, LOADER)
    except (LookupError, AttributeError, TypeError, OverflowError):  # of a value that is not what its own tag says
        raise ValueError("a value is not what its tag says") from None


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turns what can be wrong with a YAML file into the user's one line."""
    try:
        yield
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{file}{line}: not valid YAML: {problem}; mend the file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not valid YAML: byte {error.start} is not UTF-8; mend the file") from None
    except ValueError as error:  # a number or a date that there is not
        raise UserError(f"{file}: not valid YAML: {error}; mend the file") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); permit reading, or give another file") from None


def _bound(text: str, file: Path | str) -> None:
    """Refuses what would be too much once its aliases are written out. Events come without recursion."""
    whole: dict[str, tuple[int, int]] = {}  # values and characters under each anchor
    opened: list[tuple[str | None, int, int]] = []  # of each open collection its anchor, and the counts at its start
    count = characters = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in whole:
                raise UserError(f"{file}: the alias *{event.anchor} stands inside what it repeats; write the value out")
            count, characters = count + whole[event.anchor][0], characters + whole[event.anchor][1]
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, count, characters))
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, *start = opened.pop()
            if anchor is not None:
                whole[anchor] = count - start[0], characters - start[1]
        elif isinstance(event, yaml.ScalarEvent):
            _bound_number(event, file)
            count, characters = count + 1, characters + len(event.value)
            if event.anchor is not None:
                whole[event.anchor] = 1, len(event.value)
        if len(opened) > DEEPEST:
            raise UserError(f"{file}: nested more than {DEEPEST} deep, which no config is; mend the file")
        if count > MOST_VALUES or characters > LARGEST_FILE:
            raise UserError(
                f"{file}: stands for more than {MOST_VALUES:,} values or {LARGEST_FILE // 2**20} MiB, which no config "
                "has; mend the file"
            )


def _bound_number(event: yaml.ScalarEvent, file: Path | str) -> None:
    text = event.value
    if len(text) <= LONGEST_NUMBER:
        return
    forms = yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], []) if event.implicit[0] else []
    if event.tag in NUMBERS or any(tag in NUMBERS and form.match(text) for tag, form in forms):
        line = f", line {event.start_mark.line + 1}" if event.start_mark else ""
        raise UserError(f"{file}{line}: a number of {len(text):,} characters, which no option has; mend the file")


def refuse_functions(value: Any, place: str = "") -> None:
    """Raises where a text would have OmegaConf do more than look at another option."""
    for path, text in _texts(value):
        if "${" in OPTION.sub("", text):
            where = f"{place}: {path}" if place else path
            raise UserError(
                f"{where}: only other options may be referred to, as in ${{optimizer.epochs}}; write the value itself"
            )


def references(value: Any) -> dict[str, list[str]]:
    """Where a text refers to other options, and to which."""
    found = ((path, OPTION.findall(text)) for path, text in _texts(value))
    return {path: [name[2:-1] for name in names] for path, names in found if names}


def refuse_references(value: Any, place: str) -> None:
    """Raises where a text refers to anything: in what has been resolved already, nothing does."""
    for path, text in _texts(value):
        if "${" in text:
            raise UserError(f"{place}: {path}: refers to something with ${{…}}; write the value itself")


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in plain containers, and where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, join(path, str(key)))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{i}]")


def refuse_ways_out(directory: Path, what: str = "run directory", also: tuple[Path, ...] = ()) -> None:
    """Raises where something below leads out of the directory, or is no file: what writes there would go elsewhere.

    Links may lead to places in `also`.
    """
    allowed = [directory.resolve(), *(one.resolve() for one in also)]
    for folder, folders, names in os.walk(allowed[0]):
        for name in (*folders, *names):
            path = Path(folder, name)
            try:
                kind = path.lstat().st_mode
            except FileNotFoundError:
                continue  # a draft that took its place meanwhile
            # realpath bears links that go in circles
            if stat.S_ISLNK(kind) and not any(Path(os.path.realpath(path)).is_relative_to(one) for one in allowed):
                raise UserError(f"{path}: a link that leads out of the {what}; put the file itself there")
            if not (stat.S_ISLNK(kind) or stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
                raise UserError(f"{path}: neither a file nor a directory; remove it")
