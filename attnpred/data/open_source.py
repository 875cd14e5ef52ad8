"""The source of a dataset's rows, by what `data.source` names."""

import glob
from itertools import islice
from pathlib import Path

from attnpred.config.options import DataConfig
from attnpred.data import card, formats
from attnpred.data.builtin_source import BUILTIN, BuiltinSource
from attnpred.data.dataset_source import DatasetSource
from attnpred.data.file_source import FileSource
from attnpred.data.folder_source import FolderSource, class_folders
from attnpred.data.parallel_source import ParallelSource, is_parallel
from attnpred.data.places import refuse_place
from attnpred.data.sources import Source, refuse_rows
from attnpred.data.split_column import SplitColumn
from attnpred.errors import UserError
from attnpred.files import path_of
from attnpred.machine import hub

MOST_FILES = 10_000  # that a pattern may name


def open_source(config: DataConfig) -> Source:
    """A built-in dataset, files, a directory or a hub id, its splits by a column where one is named."""
    found = _opened(config)
    return found if config.split_column is None else SplitColumn(config, found)


def _opened(config: DataConfig) -> Source:
    """Nothing of it is read yet."""
    if config.source.startswith(BUILTIN):
        return BuiltinSource(config)
    refuse_rows(config)
    file = path_of(config.source, "data.source=")
    if file.is_file():
        return FileSource(config, [file.resolve()])
    if is_parallel(config.source):
        return ParallelSource(config)
    if not file.is_dir() and glob.has_magic(config.source):
        return FileSource(config, _matching(config.source, file))
    if formats.kind_of(file) is not None and not file.is_dir():
        raise UserError(f"data.source={config.source}: no such file; give the path of one that is there")
    local = hub.locate(config.source, place="data.source")
    if local is None:
        return DatasetSource(config, None)
    refuse_place(local, f"data.source={config.source}")
    if config.subset is None and not card.describes(local):
        if tables := _tables(local):
            return FileSource(config, tables)
        if (kind := class_folders(local)) is not None:
            return FolderSource(config, local, kind)
    return DatasetSource(config, local)


def _matching(pattern: str, path: Path) -> list[Path]:
    """The files of a pattern's names."""
    found = list(islice(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))), MOST_FILES + 1))
    files = [file.resolve() for file in found if file.is_file()]
    if not files:
        raise UserError(f"data.source={pattern}: no file has such a name; give a pattern that fits some")
    if len(found) > MOST_FILES:
        raise UserError(f"data.source={pattern}: fits more than {MOST_FILES:,} files; put them together")
    if len({file.parent for file in files}) > 1:
        raise UserError(f"data.source={pattern}: fits files in several directories; put them into one")
    return files


def _tables(directory: Path) -> list[Path]:
    """A directory's tables, where it holds nothing but tables of one format that is read here.

    Parquet is left to the hub's layout, which keeps the names of classes in it.
    """
    tables = []
    for entry in directory.iterdir():
        if entry.name.startswith(".") or entry.suffix.lower() in (".md", ".rst") or entry.stem == "LICENSE":
            continue
        if not entry.is_file() or formats.kind_of(entry) in (None, "parquet"):
            return []
        tables.append(entry)
    return tables if len({formats.kind_of(table) for table in tables}) == 1 else []
