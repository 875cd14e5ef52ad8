"""The type of every column of CSV files, found in one pass that holds a block at a time: the first that all values fit.

The library finds types of a whole table in memory, or of a file's first block alone.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

Types = dict[str, Any]  # column → Arrow type
FEW = 100  # values


@cache
def _ladder() -> tuple[Any, ...]:
    """Types in the order in which they are tried; a text is what fits none."""
    import pyarrow as pa

    return (pa.int64(), pa.bool_(), pa.date32(), pa.timestamp("s"), pa.timestamp("ns"), pa.float64())


def inferred(blocks: Iterable[Any]) -> Types:
    """From blocks of all columns as texts; a column without any value has no type of its own."""
    import pyarrow as pa

    fitting: dict[str, tuple[Any, ...]] = {}
    given: set[str] = set()
    for block in blocks:
        for name, values in zip(block.schema.names, block.columns, strict=True):
            known = _without_missing(values)
            # the library takes as long over values that do not fit as over such that do: few tell most of it
            some = tuple(kind for kind in fitting.get(name, _ladder()) if _fits(known[:FEW], kind))
            fitting[name] = tuple(kind for kind in some if _fits(known, kind))
            if len(known):
                given.add(name)
    return {
        name: pa.null() if name not in given else kinds[0] if kinds else pa.string() for name, kinds in fitting.items()
    }


def _without_missing(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return values.filter(pc.invert(pc.is_in(values, pa.array(_options().null_values))))


def _fits(values: Any, kind: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(kind):
        words = pa.array([*_options().true_values, *_options().false_values])
        return bool(pc.all(pc.is_in(values, words), min_count=0).as_py())
    try:
        pc.ascii_trim_whitespace(values).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


@cache
def _options() -> Any:
    from pyarrow import csv

    return csv.ConvertOptions()
