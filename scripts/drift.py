"""Shows that drift is found, and that none is found where there is none.

    python -m scripts.drift RUN "SST-2, hidden test"=test.parquet:sentence "IMDb"=imdb.parquet:text

RUN is a run on SST-2, whose reference is made where it has none. Each table is compared by a sample of its rows. Writes
`scripts/drift.json` and the table of `docs/monitor.md`; with --try it prints alone.
"""

import argparse
from pathlib import Path
from typing import Any

from attnpred.files import write_json
from attnpred.inference.monitoring.monitor import Asked, monitor
from attnpred.runs.run import Run
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULT = Path(__file__).with_suffix(".json")
PAGE = DOCS / "monitor.md"


def shown(run: Run, source: str, rows: int) -> dict[str, Any]:
    name, _, place = source.partition("=")
    file, _, column = place.rpartition(":")
    story = monitor(run, run.config(), Asked(on=Path(file), columns=[column], last=rows))
    assert story is not None
    return {"name": name, **story}


def table(found: list[dict[str, Any]]) -> str:
    lines = ["| new input | rows | alarm | by |", "|---|---|---|---|"]
    for story in found:
        loud = [f"{one['name']} {one['effect']:.2f}" for one in story["measures"] if one["alarm"]]
        most = max(story["measures"], key=lambda one: one["effect"] / one["bound"])
        calm = f"nothing; nearest: {most['name']} {most['effect']:.2f} of {most['bound']:.2f}"
        lines.append(f"| {story['name']} | {story['rows']:,} | {'yes' if loud else 'no'} | {', '.join(loud) or calm} |")
    rates = (
        f"{one['share'][0]:.0%} ({one['share'][1]:.0%} to {one['share'][2]:.0%}) of windows of {one['rows']} rows"
        for one in found[0]["false_alarms"]
    )
    return "\n".join([*lines, "", f"False alarms on the run's own test split: {'; '.join(rates)}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("tables", nargs="+", metavar="NAME=FILE:COLUMN")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--try", dest="trial", action="store_true", help="write nothing")
    args = parser.parse_args()
    run = Run.find(args.run)
    found = [shown(run, source, args.rows) for source in args.tables]
    print(table(found))
    if not args.trial:
        kept = [{key: value for key, value in one.items() if key not in ("run", "source", "tests")} for one in found]
        for one in kept:
            one["measures"] = [{k: v for k, v in m.items() if k != "histogram"} for m in one["measures"]]
        write_json(RESULT, {**origin(), "seed": run.config().seed, "tables": kept})
        put(table(found), "drift", PAGE)


if __name__ == "__main__":
    main()
