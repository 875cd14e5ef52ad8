"""The tables of the README that scripts write."""

import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def put(table: str, name: str, readme: Path = README) -> None:
    """Writes the table between the markers <!-- name --> and <!-- /name -->; to stdout where there are none."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = readme.read_text(encoding="utf-8").partition(start)
    _, found, after = rest.partition(end)
    if found:
        readme.write_text(f"{before}{start}\n\n{table}\n\n{end}{after}", encoding="utf-8")
    else:
        print(table)
        print(f"{readme}: has no {start} … {end}, between which the table would go", file=sys.stderr)
