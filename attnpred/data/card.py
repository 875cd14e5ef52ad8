"""A dataset's card, README.md: what its head says to the library `datasets` is looked at before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from attnpred.config import untrusted
from attnpred.errors import UserError

CARD, OTHER = "README.md", ".huggingface.yaml"
LARGEST_HEAD = untrusted.LARGEST_FILE
PLACES = ("data_files", "data_dir")  # of a configuration: where its files are


def check(directory: Path) -> None:
    """Raises for a card whose head is no YAML within bounds, or of another shape than a card's."""
    for name in (CARD, OTHER):
        file = directory / name
        if not file.is_file():
            continue
        content = untrusted.read_yaml(file) if name == OTHER else _head(file)
        if not isinstance(content, dict | None):
            raise _odd(file, "its head", "a mapping")
        known = content or {}
        for key, one_will_do in (("configs", False), ("dataset_info", True)):
            if key in known and not _mappings(known[key], one_will_do):
                raise _odd(file, key, "a list of mappings")
        for one in known.get("configs") or ():
            _refuse_addresses(file, [one.get(key) for key in PLACES])


def _refuse_addresses(file: Path, named: Any) -> None:
    """The library asks whatever server is named, with the user's passwords for it, before it says what it found."""
    if isinstance(named, dict | list):
        for inner in named.values() if isinstance(named, dict) else named:
            _refuse_addresses(file, inner)
    elif isinstance(named, str) and ("://" in named or "::" in named):
        raise UserError(f"{file}: names {named}, which is no file of the directory; put the file there")


def describes(directory: Path) -> bool:
    """True where the directory has a card with a head, or another file that only the hub's layout has."""
    if any((directory / name).is_file() for name in (OTHER, "dataset_infos.json", "dataset_info.json")):
        return True
    try:
        with (directory / CARD).open("rb") as stream:
            return stream.readline(8).strip() == b"---"
    except OSError:
        return False


def _head(file: Path) -> Any:
    """The text between the card's first line and the next, each ---; None where there is no such head."""
    with untrusted.reading(file):
        with file.open("rb") as stream:
            if stream.readline(8).strip() != b"---":
                return None
            head = b"".join(_lines(stream))
        if len(head) >= LARGEST_HEAD:
            raise UserError(f"{file}: its head is longer than {LARGEST_HEAD // 2**20} MiB; mend the file")
        return untrusted.parse(head.decode(), file)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Up to the line that ends the head."""
    left = LARGEST_HEAD
    while left and (line := stream.readline(left)) and line.strip() != b"---":
        left -= len(line)
        yield line


def _mappings(value: Any, one_will_do: bool) -> bool:
    if isinstance(value, dict):
        return one_will_do
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _odd(file: Path, what: str, expected: str) -> UserError:
    return UserError(f"{file}: {what} must be {expected}, as a dataset's card has it; mend or remove the file")
