"""The source of a dataset's rows, by what `data.source` names."""

from pathlib import Path

from attnpred.config.options import DataConfig
from attnpred.data.file_source import SUFFIXES, FileSource
from attnpred.data.sources import BUILTIN, BuiltinSource, DatasetSource, Source, refuse_rows
from attnpred.errors import UserError
from attnpred.machine import hub


def open_source(config: DataConfig) -> Source:
    """A built-in dataset, a file, a directory in the hub's layout, or a hub id; nothing of it is read yet."""
    if config.source.startswith(BUILTIN):
        return BuiltinSource(config)
    refuse_rows(config)
    file = Path(config.source).expanduser()
    if file.is_file():
        return FileSource(config, file.resolve())
    if file.suffix.lower() in SUFFIXES:
        raise UserError(f"data.source={config.source}: no such file; give the path of one that is there")
    return DatasetSource(config, hub.locate(config.source, place="data.source"))
