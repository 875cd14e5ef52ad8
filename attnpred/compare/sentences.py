"""Two runs whose answers are texts, compared text by text: paired bootstrap over what both answered."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from attnpred.compare.comparison import Comparison

FILE = "answers.jsonl"  # as the task keeps them in the run directory
LARGEST = 2**28  # bytes that are read
Answers = dict[int, tuple[str, str]]  # row → answer and reference


def answers_of(directory: Path) -> Answers:
    """What a run answered to the test split; nothing where it kept none, or what cannot be read."""
    file = directory / FILE
    found: Answers = {}
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
            return {}
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            number, answer, reference = row["row"], row["answer"], row["reference"]
            if type(number) is not int or not isinstance(answer, str) or not isinstance(reference, str):
                return {}
            found[number] = (answer, reference)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
    return found


def told(compared: Comparison) -> Iterator[str]:
    """A line for each row of the table and the one that it is tested against: of the first run of either."""
    if not compared.metric.endswith("/bleu"):
        return
    for number, row in enumerate(compared.rows):
        if row.against is None or row.against == number:
            continue
        base = compared.rows[row.against]
        these, others = (answers_of(one.group.runs[0].path) for one in (row, base))
        if line := _line(number + 1, row.against + 1, these, others):
            yield line


def _line(number: int, base: int, these: Answers, others: Answers) -> str | None:
    common = [row for row in these if row in others and these[row][1] == others[row][1]]
    if len(common) < 2:
        return None
    from attnpred.tasks import bleu

    references = [these[row][1] for row in common]
    sides: list[Sequence[str]] = [[side[row][0] for row in common] for side in (these, others)]
    apart, p = bleu.paired(*(bleu.counts(side, references) for side in sides))
    return (
        f"row {number} is {apart:+.2f} BLEU from row {base} on the {len(common):,} texts of test that both answered, "
        f"p={p:.3f} by paired bootstrap"
    )
