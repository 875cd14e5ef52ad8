"""A folder with a folder a class, of texts, pictures or sounds: as it is, or once more in a folder a split."""

import os
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from attnpred.config.options import DataConfig
from attnpred.data.file_source import split_in
from attnpred.data.formats import Chunks
from attnpred.data.places import PICTURES, SOUNDS, TABLES, Outside, Reach, files_digest
from attnpred.data.sources import Source
from attnpred.data.store import digest
from attnpred.data.utf8 import decoded
from attnpred.errors import BadRow, UserError

Kind = Literal["text", "image", "audio"]
SUFFIXES: dict[Kind, tuple[str, ...]] = {"text": (".txt",), "image": PICTURES, "audio": SOUNDS}
LARGEST_TEXT = 2**24  # bytes
MOST_LOOKED_AT = 1000  # files of a folder in which the first of a kind is looked for


def class_folders(directory: Path) -> Kind | None:
    """The kind of files of which a directory's folders hold a class each; None where they do not."""
    folders = _folders(directory)
    # tables say more of the pictures, or are the data themselves
    beside = [one.name.lower() for folder in (directory, *folders) for one in folder.glob("metadata.*")]
    beside += [one.name.lower() for one in directory.iterdir() if not one.is_dir()]
    if any(name.endswith((*TABLES, *PICTURES)) and not name.startswith((".", "readme")) for name in beside):
        return None
    if folders and all(split_in(one.name) for one in folders):
        folders = [inner for one in folders for inner in _folders(one)]
    for kind in SUFFIXES:
        if any(_is(kind, file.name) for one in folders for file in islice(_files(one), MOST_LOOKED_AT)):
            return kind
    return None


class FolderSource(Source):
    """Rows of `text`, `image` or `audio`, with `label`, the folder's name, and `file`, the path below the directory."""

    def __init__(self, config: DataConfig, directory: Path, kind: Kind) -> None:
        super().__init__(config)
        self._directory, self._kind = directory, kind

    @property
    def fingerprint(self) -> dict[str, Any]:
        mixed = {"mixed": self.config.train_split} if self.config.streams() else {}
        return {"folders": str(self._directory), "files": files_digest(self._directory), **mixed}

    @cached_property
    def _places(self) -> dict[str, list[tuple[str, str]]]:
        """Of each split its files, by class and by their paths below the directory."""
        folders = _folders(self._directory)
        splits = [split_in(folder.name) for folder in folders]
        found: dict[str, list[tuple[str, str]]] = {}
        for folder, split in zip(folders, splits, strict=True):
            classes = _folders(folder) if all(splits) else [folder]
            files = found.setdefault(split if all(splits) and split else "train", [])
            for one in classes:
                names = sorted(str(f.relative_to(self._directory)) for f in _files(one) if _is(self._kind, f.name))
                files += [(one.name, name) for name in names]
        if self.config.streams() and self.config.train_split in found:
            # class by class, rows that are shuffled together would be of one class
            found[self.config.train_split].sort(key=lambda place: digest([os.fsencode(place[1])]))
        order = ("train", "validation", "test")
        return {split: found[split] for split in order if found.get(split)}

    def splits(self) -> list[str]:
        return list(self._places)

    def _class_names(self, split: str, column: str) -> list[str] | None:
        return None

    @property
    def reach(self) -> Reach:
        return Reach((self._directory,), self.config.paths_outside)

    def file_of(self, split: str, row: int) -> str | None:
        return self._places[split][row][1]

    def _total(self, split: str) -> int:
        return len(self._places[split])

    def _chunks(self, split: str, size: int) -> Chunks:
        places = self._places[split]
        for start in range(0, len(places), size):
            some = places[start : start + size]
            names = [name for _, name in some]
            if self._kind != "text":
                values: list[Any] = [{"bytes": None, "path": name} for name in names]
            else:
                values = [self._text(name, row) for row, name in enumerate(names, start)]
            yield {self._kind: values, "label": [label for label, _ in some], "file": names}

    def _text(self, name: str, row: int) -> str | bytes | None:
        """The file's text; bytes where it is not UTF-8, None where there is none to be read and rows may be skipped."""
        try:
            file = self.reach.file(name)
            if not file.is_file():
                raise OSError(0, "is no file")
            with file.open("rb") as stream:
                content = stream.read(LARGEST_TEXT + 1)
            if len(content) > LARGEST_TEXT:
                raise OSError(0, f"is longer than {LARGEST_TEXT // 2**20} MiB")
            return decoded(content)
        except Outside as error:
            raise UserError(f"data.source={self.config.source}: {name} leads to a file {error}") from None
        except OSError as error:
            if self.config.on_bad_row == "skip":
                return None
            raise BadRow(
                f"data.source={self.config.source}: {name} cannot be read ({error.strerror}); mend it, or set "
                "data.on_bad_row=skip",
                row,
            ) from None


def _folders(directory: Path) -> list[Path]:
    return sorted(one for one in directory.iterdir() if one.is_dir() and not one.name.startswith("."))


def _files(folder: Path) -> Iterator[Path]:
    """Every file in the folder and below it, links to folders not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _is(kind: Kind, name: str) -> bool:
    return name.lower().endswith(SUFFIXES[kind])
