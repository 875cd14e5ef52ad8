"""The student of sst2_distilled: alone, with a teacher's answers, and with its attention too.

    python -m scripts.distillation --bert sentence-transformers/all-MiniLM-L6-v2 --seeds 0 1 2
    python -m scripts.distillation --teacher RUN --seeds 0 1 2

Beside accuracy it tells how faithful the student's attention is. Data lies below ATTNPRED_DATA.
"""

import argparse
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from scripts import launch
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULTS = Path(__file__).with_suffix(".json")
PAGE = DOCS / "distillation.md"
HEAD = "| student | test accuracy % | validation % | comprehensiveness ↑ | sufficiency ↓ |\n|" + 5 * "---|"
WAYS: dict[str, list[str]] = {
    "alone": ["experiment=sst2_transformer"],
    "answers": ["experiment=sst2_distilled"],
    "answers and attention": ["experiment=sst2_distilled", "model.teacher_attention=0.1"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bert", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--teacher", help="a run of sst2_minilm; without it one is trained")
    parser.add_argument("--output-dir", default="outputs/distillation")
    parser.add_argument("overrides", nargs="*", help="of the students")
    args = parser.parse_args()
    where = f"output_dir={args.output_dir}"
    teacher = args.teacher
    if teacher is None:
        teacher = launch.train(["experiment=sst2_minilm", f"model.source={args.bert}", where])["run"]
    taught = read_json(Path(teacher) / "metrics.json")["test"]["accuracy"]
    for way in args.only:
        named = [] if way == "alone" else [f"model.teacher={teacher}"]
        runs = [measure([*WAYS[way], *named, where, f"seed={seed}", *args.overrides]) for seed in args.seeds]
        known = read_json(RESULTS) if RESULTS.is_file() else {}
        measured = {**origin(), "seeds": args.seeds, "teacher": taught, "overrides": args.overrides, "runs": runs}
        kept = {**known, way: measured}
        write_json(RESULTS, kept)
        put(table({name: kept[name] for name in WAYS if name in kept}), "distillation", PAGE)


def measure(overrides: list[str]) -> dict[str, float]:
    found = launch.train(overrides)
    faithful = found.get("attention", {}).get("scores", {}).get("attention", {})
    return {
        "test": found["test"]["accuracy"],
        "validation": found["val"]["best"]["accuracy"],
        **{name: faithful[name][0] for name in ("comprehensiveness", "sufficiency") if name in faithful},
        "seconds": found["seconds"],
    }


def table(kept: dict[str, Any]) -> str:
    lines = [HEAD]
    for way, one in kept.items():
        runs = one["runs"]
        cells = [launch.spread([100 * run[split] for run in runs]) for split in ("test", "validation")]
        for name in ("comprehensiveness", "sufficiency"):
            told = [run[name] for run in runs if name in run]
            cells.append(launch.spread(told, 3) if told else "–")
        lines.append(f"| {way} | {' | '.join(cells)} |")
    notes = dict.fromkeys(note(one) for one in kept.values())
    return "\n".join([*lines, "", *notes])


def note(one: dict[str, Any]) -> str:
    seeds = ", ".join(map(str, one["seeds"]))
    changed = f", with `{' '.join(one['overrides'])}`" if one["overrides"] else ""
    return (
        f"The teacher has {100 * one['teacher']:.2f} % on the test split. Seeds {seeds}{changed}; {one['machine']}, "
        f"{one['date']}."
    )


if __name__ == "__main__":
    main()
