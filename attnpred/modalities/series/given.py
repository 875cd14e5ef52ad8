"""New series as a user gives them: one of a table, and the columns of a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.data import csv_types, formats
from attnpred.modalities.series.table import Wrong

CHUNK = 10_000


@dataclass(frozen=True)
class Given:
    name: str
    values: NDArray[np.float32]  # (variables, moments)
    ahead: NDArray[np.float32]  # (known, moments to come)
    static: NDArray[np.float32]
    last: int | None  # seconds since 1970 of the last moment; None where there are no times


def rows_of_file(file: Path) -> dict[str, list[Any]]:
    """All columns of a table; Wrong or OSError where it cannot be read."""
    if not file.is_file():
        raise Wrong("", "no such file; give a table of a series (CSV, JSON lines, Parquet)")

    def refuse(reason: str) -> None:
        raise Wrong("", reason)

    try:
        found: dict[str, list[Any]] = {}
        for chunk in formats.chunks(file, CHUNK, refuse, _types(file)):
            for name, values in chunk.items():
                found.setdefault(name, []).extend(values)
    except Wrong:
        raise
    except (ValueError, LookupError, TypeError, NotImplementedError) as error:  # pyarrow's own are subclasses of these
        raise Wrong("", f"cannot be read: {' '.join(str(error).split())}") from None
    return found


def _types(file: Path) -> dict[str, Any] | None:
    """Of a CSV, what its columns hold."""
    if formats.kind_of(file) not in ("csv", "tsv"):
        return None
    import pyarrow as pa

    texts = dict.fromkeys(formats.csv_names(file), pa.string())
    return csv_types.inferred(formats.csv_blocks(file, texts, formats.pass_over))
