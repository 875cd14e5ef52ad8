"""A run's alignments of a split beside those that people made: the alignment error rate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch

from attnpred.config.options import Config
from attnpred.contracts import Attention
from attnpred.errors import UserError
from attnpred.explain.alignment import Links, error_rate, links_of, read_links
from attnpred.machine.device import choose
from attnpred.runs.run import Run
from attnpred.tasks.answer_words import by_word
from attnpred.tasks.base import Task


def alignment_error(run: Run, config: Config, split: Literal["val", "test"], task: Task, file: Path) -> float:
    """Of the references' words, each given those before it. The file has a line a row of the source's split."""
    if task.config.shape != "sequence":
        raise UserError(f"--alignments {file}: is for runs whose answers are texts; leave it out")
    gold = _read(file)
    return error_rate(
        (links, *gold[row]) for row, links in _found(run, config, split, task) if row in gold and gold[row][1]
    )


def _read(file: Path) -> dict[int, tuple[Links, Links]]:
    if not file.is_file():
        raise UserError(f"--alignments {file}: is no file; give one with a line a sentence, as 0-0 1-2")
    found = {}
    for row, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        try:
            found[row] = read_links(line)
        except ValueError:
            raise UserError(
                f"--alignments {file}: line {row + 1} holds {line[:40]!r}; give links as 0-0 1-2, not sure ones as 3?2"
            ) from None
    return found


def _found(run: Run, config: Config, split: Any, task: Any) -> Iterator[tuple[int, Links]]:
    reader: Any = run.reader()
    model = run.load_model()
    chosen = choose(config.trainer)
    model = model.to(chosen.device_type)
    for batch in run.data(config).loader(split):
        with torch.inference_mode():
            held = task.seen_once(batch.to(chosen.device_type))
            output = model(held, need_attention=True, need_layers=False)
        describe = reader.describe(batch.input)
        assert output.attention is not None
        assert output.attention.steps is not None
        steps = [list(describe(Attention(one))) for one in output.attention.steps.cpu().unbind(1)]
        for row, described in enumerate(task.describe(output)):
            rows = by_word([step[row]["attention"] for step in steps], described["made"])
            yield int(batch.ids[row]), links_of(rows)
