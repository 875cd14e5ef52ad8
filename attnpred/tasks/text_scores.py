"""How near texts come to those that were wanted: BLEU, chrF and ROUGE, by the libraries that the field counts by."""

import sys
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from attnpred.errors import UserError

Score = Literal["bleu", "chrf", "rouge"]
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
            metric = sacrebleu_metric(name)
            scores[name] = metric.corpus_score(list(answers), [list(references)]).score
            signatures[name] = str(metric.get_signature())
    if "rouge" in wanted:
        scores |= _rouge(answers, references)
    return scores, signatures


def sacrebleu_metric(name: str) -> Any:
    """BLEU as the field's tables have it, cased and by the tokenizer 13a; or chrF."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        raise UserError(
            f"task.scores={name}: needs the package sacrebleu; pip install 'attnpred[translation]'"
        ) from None
    return BLEU() if name == "bleu" else CHRF()


def _rouge(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from torchmetrics.functional.text.rouge import rouge_score

    found = rouge_score(list(answers), list(references), rouge_keys=ROUGE)
    return {key.lower(): 100 * float(found[f"{key}_fmeasure"]) for key in ROUGE}


def require(wanted: Sequence[Score]) -> None:
    """Raises where what counts a score is not installed, before anything is trained for it."""
    if "sacrebleu" not in sys.modules:
        for name in set(wanted) & {"bleu", "chrf"}:
            sacrebleu_metric(name)
