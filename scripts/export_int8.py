"""What 8 bits take from a run, and what they give: size, speed, metrics and the faithfulness of its attention.

    python -m scripts.export_int8 RUN --name sst2_minilm

Exports the run by `attnpred export --int8`, with dynamic and with static scales, and keeps what check.json says in
scripts/export_int8.json and as a table in docs/export.md. Everything is measured on validation. For speed nothing else
may run on the machine; --busy says that something did, and leaves speeds out of the table.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULTS = Path(__file__).with_suffix(".json")
PAGE = DOCS / "export.md"
KINDS = ("dynamic", "static")
SCORES = ("comprehensiveness", "sufficiency")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--name", required=True, help="how the table calls it")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--measured", type=int, default=1_000)
    parser.add_argument("--busy", action="store_true", help="other work ran meanwhile: show no speeds")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_intermixed_args()
    found = {kind: export(args.run, kind, args.measured, args.overrides) for kind in args.kinds}
    known = read_json(RESULTS) if RESULTS.is_file() else {}
    kept = dict(sorted({**known, args.name: {**origin(), "busy": args.busy, "kinds": found}}.items()))
    write_json(RESULTS, kept)
    put(table(kept), RESULTS.stem, PAGE)


def export(run: str, kind: str, measured: int, overrides: list[str]) -> dict[str, Any]:
    """What check.json says of one export, which is not kept."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "export"
        command = [sys.executable, "-m", "attnpred", "export", run, "--int8", kind, "--out", str(folder)]
        subprocess.run([*command, "--measured", str(measured), *overrides], check=True, stdout=subprocess.PIPE)
        told: dict[str, Any] = read_json(folder / "check.json")
    return told


def table(kept: dict[str, Any]) -> str:
    head = ["run", "weights", "MiB", "examples a second", "metric", *(f"{name}" for name in SCORES), "answers alike"]
    lines = ["| " + " | ".join(head) + " |", "|" + len(head) * "---|"]
    for name, measured in kept.items():
        busy = measured["busy"]
        for place, (kind, told) in enumerate(measured["kinds"].items()):
            quantised = told["quantised"]
            if place == 0:
                lines.append(row(f"`{name}`", "float32", quantised, "float32", busy, ""))
            lines.append(row("", f"int8, {kind}", quantised, "now", busy, f"{told['agreement']:.1%}"))
    return "\n".join([*lines, "", *(note(name, measured) for name, measured in kept.items())])


def row(name: str, weights: str, found: dict[str, Any], key: str, busy: bool, alike: str) -> str:
    metric, value = next((k, v) for k, v in found["metrics"][key].items() if k != "loss")
    speed = "–" if busy else f"{found['examples_per_second'][key]:,.0f}"
    if key == "now" and not busy:
        speed += f" ({found['speedup']:.2f} ×)"
    scores = [f"{found['faithfulness'][key][score][0]:.3f}" for score in SCORES]
    cells = [name, weights, f"{found['bytes'][key] / 2**20:.1f}", speed, f"{metric} {value:.4f}", *scores, alike]
    return "| " + " | ".join(cells) + " |"


def note(name: str, measured: dict[str, Any]) -> str:
    first = next(iter(measured["kinds"].values()))["quantised"]
    busy = " Other work ran beside it, so that its speed says nothing." if measured["busy"] else ""
    return f"`{name}`: {first['examples']:,} examples of validation; {measured['machine']}, {measured['date']}.{busy}"


if __name__ == "__main__":
    main()
