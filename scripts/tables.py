"""The tables of README and docs that scripts write."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README, DOCS = ROOT / "README.md", ROOT / "docs"
BENCHMARKS = DOCS / "benchmarks.md"


def put(table: str, name: str, page: Path) -> None:
    """Writes the table between the markers <!-- name --> and <!-- /name -->; to stdout where there are none."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(start)
    _, found, after = rest.partition(end)
    if found:
        page.write_text(f"{before}{start}\n\n{table}\n\n{end}{after}", encoding="utf-8")
    else:
        print(table)
        print(f"{page}: has no {start} … {end}, between which the table would go", file=sys.stderr)
