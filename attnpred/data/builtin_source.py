"""Datasets that need no download: modules of `attnpred.data.builtin`."""

import hashlib
import importlib
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from attnpred.config.options import DataConfig
from attnpred.config.schema import suggest
from attnpred.data.places import Reach
from attnpred.data.sources import Source, refuse_rows
from attnpred.errors import UserError

BUILTIN = "builtin:"


class BuiltinSource(Source):
    """A module of `attnpred.data.builtin`: one split, train."""

    def __init__(self, config: DataConfig) -> None:
        super().__init__(config)
        folder = Path(__file__).parent / "builtin"
        name = config.source.removeprefix(BUILTIN)
        names = sorted(p.stem for p in folder.glob("[!_]*.py"))
        if name not in names:
            near = suggest(config.source, [BUILTIN + n for n in names])
            raise UserError(f"data.source={config.source}: no such built-in dataset; there is {', '.join(names)}{near}")
        self._module = importlib.import_module(f"attnpred.data.builtin.{name}")
        generated, count = hasattr(self._module, "generate"), config.rows
        if generated and count is None:
            raise UserError(f"data.rows=null: {config.source} is generated; say how many rows it shall have")
        if not generated:
            refuse_rows(config)
        self._read = partial(self._module.generate, count) if generated else self._module.rows
        self._code = hashlib.blake2b((folder / f"{name}.py").read_bytes(), digest_size=16).hexdigest()

    @property
    def fingerprint(self) -> dict[str, Any]:
        known = {"builtin": self.config.source, "code": self._code}
        return known if self.config.rows is None else known | {"rows": self.config.rows}

    def splits(self) -> list[str]:
        return ["train"]

    @property
    def reach(self) -> Reach:
        return Reach(None)

    def _class_names(self, split: str, column: str) -> list[str]:
        return list(self._module.CLASSES)

    def _chunks(self, split: str, size: int) -> Iterator[dict[str, list[Any]]]:
        rows = self._read()
        while chunk := list(islice(rows, size)):
            yield {name: [row[name] for row in chunk] for name in chunk[0]}
