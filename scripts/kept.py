"""What scripts measured: kept by name in a file beside the script, and shown in docs/benchmarks.md as a table."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from scripts.machine import machine
from scripts.tables import BENCHMARKS, put


def origin() -> dict[str, str]:
    return {"machine": machine(), "date": str(date.today())}


def keep(results: Path, name: str, measured: dict[str, Any], table: Callable[[dict[str, Any]], str]) -> None:
    """The page's markers are named as the file is: recipes.json is shown between <!-- recipes --> and its end."""
    # read only now: another script's process may have measured meanwhile
    known = read_json(results) if results.is_file() else {}
    kept = dict(sorted({**known, name: measured}.items()))
    write_json(results, kept)
    put(table(kept), results.stem, BENCHMARKS)
