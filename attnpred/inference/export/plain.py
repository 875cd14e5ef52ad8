"""A run's config without the places of this machine, for what is handed to others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from attnpred.config.options import Config
from attnpred.data import cache


def without_places(config: Config) -> Config:
    data, model = config.data, replace(config.model, init_from=None, teacher=None)
    if (source := getattr(model, "source", None)) is not None:
        named: Any = {"source": _named(source)}
        model = replace(model, **named)
    data = replace(data, cache_dir=cache.USUAL, source=_named(data.source))
    return replace(config, output_dir="outputs", continue_from=None, data=data, model=model)


def _named(source: str) -> str:
    """A hub id as it is, of a path its last part."""
    return Path(source).name if Path(source).is_absolute() or source.startswith(("~", ".")) else source
