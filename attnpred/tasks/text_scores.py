"""How near texts come to those that were wanted: BLEU, chrF and ROUGE, by the libraries that the field counts by."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from attnpred.files import write_text
from attnpred.tasks import bleu

Score = Literal["bleu", "chrf", "rouge"]
ANSWERS_FILE = "answers.jsonl"  # in the run directory: those of the test split
ROUGE = ("rouge1", "rouge2", "rougeL")


class Texts(Metric):
    """Answers and references of a split, as their letters' bytes; several processes gather theirs."""

    full_state_update = False
    content: list[Tensor]
    sizes: list[Tensor]
    numbers: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("content", "sizes", "numbers"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, answers: Sequence[str], references: Sequence[str], ids: Tensor) -> None:
        encoded = [text.encode() for pair in zip(answers, references, strict=True) for text in pair]
        sizes = torch.tensor([len(one) for one in encoded], device=ids.device).view(-1, 2)
        self.content.append(torch.frombuffer(bytearray(b"".join(encoded)), dtype=torch.uint8).to(ids.device))
        self.sizes.append(sizes)
        self.numbers.append(ids)

    def compute(self) -> list[tuple[int, str, str]]:
        """Of each row its number, its answer and its reference, by their numbers; each once."""
        if not len(self.numbers):  # a list, or a tensor where several processes have put theirs together
            return []
        content = bytes(dim_zero_cat(self.content).cpu().numpy())
        found: dict[int, tuple[str, str]] = {}
        place = 0
        sizes = dim_zero_cat(self.sizes).tolist()
        for number, pair in zip(dim_zero_cat(self.numbers).tolist(), sizes, strict=True):
            texts = []
            for size in pair:
                texts.append(content[place : place + size].decode())
                place += size
            found[number] = (texts[0], texts[1])
        return [(number, *found[number]) for number in sorted(found)]


def corpus_scores(
    answers: Sequence[str], references: Sequence[str], wanted: Sequence[Score]
) -> tuple[dict[str, float], dict[str, str]]:
    """The scores of a whole split, 0 to 100, and of sacrebleu's the signatures."""
    scores: dict[str, float] = {}
    signatures: dict[str, str] = {}
    for name in ("bleu", "chrf"):
        if name in wanted:
            metric = bleu.metric(name)
            scores[name] = metric.corpus_score(list(answers), [list(references)]).score
            signatures[name] = str(metric.get_signature())
    if "rouge" in wanted:
        scores |= _rouge(answers, references)
    return scores, signatures


def write_answers(directory: Path, rows: Sequence[tuple[int, str, str]]) -> None:
    """A line a text, so that two runs can be compared text by text."""
    lines = (json.dumps({"row": n, "answer": a, "reference": r}, ensure_ascii=False) for n, a, r in rows)
    write_text(directory / ANSWERS_FILE, "".join(f"{line}\n" for line in lines))


def _rouge(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from torchmetrics.functional.text.rouge import rouge_score

    found = rouge_score(list(answers), list(references), rouge_keys=ROUGE)
    return {key.lower(): 100 * float(found[f"{key}_fmeasure"]) for key in ROUGE}


def require(wanted: Sequence[Score]) -> None:
    """Raises where what counts a score is not installed, before anything is trained for it."""
    if "sacrebleu" not in sys.modules:
        for name in set(wanted) & {"bleu", "chrf"}:
            bleu.metric(name)
