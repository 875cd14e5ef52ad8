"""The result of a siege as a table by kind, kept in docs/siege.json and shown in docs/siege.md."""

import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

from tests.siege.kinds import load
from tests.siege.worker import Tally

COUNTED = ("tried", "refused", "accepted", "failed", "open")
DOCS = Path(__file__).parents[2] / "docs"
KEPT, PAGE = DOCS / "siege.json", DOCS / "siege.md"


def result(tallies: dict[str, Tally], seed: int, minutes: float, jobs: int) -> dict[str, Any]:
    kinds = {}
    for kind, tally in tallies.items():
        numbers = {name: getattr(tally, name) for name in ("tried", "refused", "accepted")}
        found = {"failed": count(kind, tally, open_ones=False), "open": count(kind, tally, open_ones=True)}
        found["findings"] = sorted(tally.failures)
        mean = round(1000 * tally.seconds / max(1, tally.tried), 1)
        kinds[kind] = {**numbers, **found, "milliseconds": mean, "slowest": round(tally.slowest, 1)}
    where = {"machine": machine(), "processes": jobs, "date": date.today().isoformat()}
    return {"seed": seed, "minutes": round(minutes, 1), **where, "kinds": kinds}


def is_open(kind: str, signature: str) -> bool:
    """True where a finding is known and not mended yet."""
    return signature.startswith(load(kind).OPEN or ("\0",))


def count(kind: str, tally: Tally, *, open_ones: bool) -> int:
    return sum(one["count"] for name, one in tally.failures.items() if is_open(kind, name) == open_ones)


def machine() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else ():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def table(kept: dict[str, Any]) -> str:
    """A row a kind, and one for all."""
    head = ("kind", *COUNTED, "ms an input", "slowest, s")
    rows = []
    for kind, one in kept["kinds"].items():
        counts = [f"{one[name]:,}" for name in COUNTED]
        rows.append([kind.replace("_", " "), *counts, f"{one['milliseconds']:g}", f"{one['slowest']:g}"])
    sums = [f"{sum(one[name] for one in kept['kinds'].values()):,}" for name in COUNTED]
    rows.append(["all", *sums, "", ""])
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] + ["---:"] * (len(head) - 1), *rows)]
    return "\n".join(lines)


def note(kept: dict[str, Any]) -> str:
    return (
        f"Seed {kept['seed']}, {kept['minutes']:g} minutes on {kept['processes']} processes of {kept['machine']}, "
        f"{kept['date']}."
    )


def page(kept: dict[str, Any], frame: str) -> str:
    """The page with the numbers in it."""
    before, _, rest = frame.partition("<!-- siege -->\n")
    _, _, after = rest.partition("<!-- /siege -->\n")
    return f"{before}<!-- siege -->\n\n{table(kept)}\n\n{note(kept)}\n\n<!-- /siege -->\n{after}"


def keep(kept: dict[str, Any]) -> None:
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(kept, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
