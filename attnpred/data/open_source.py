"""The source of a dataset's rows, by what `data.source` names."""

from attnpred.config.options import DataConfig
from attnpred.data.builtin_source import BUILTIN, BuiltinSource
from attnpred.data.file_source import SUFFIXES, FileSource
from attnpred.data.places import refuse_place
from attnpred.data.sources import DatasetSource, Source, refuse_rows
from attnpred.errors import UserError
from attnpred.files import path_of
from attnpred.machine import hub


def open_source(config: DataConfig) -> Source:
    """A built-in dataset, a file, a directory in the hub's layout, or a hub id; nothing of it is read yet."""
    if config.source.startswith(BUILTIN):
        return BuiltinSource(config)
    refuse_rows(config)
    file = path_of(config.source, "data.source=")
    if file.is_file():
        return FileSource(config, file.resolve())
    if file.suffix.lower() in SUFFIXES:
        raise UserError(f"data.source={config.source}: no such file; give the path of one that is there")
    local = hub.locate(config.source, place="data.source")
    if local is not None:
        refuse_place(local, f"data.source={config.source}")
    return DatasetSource(config, local)
