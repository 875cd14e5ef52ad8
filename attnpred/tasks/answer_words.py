"""Words of a generated text: which tokens make each, and what of the input each attended."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnpred.modalities.text.text_target import Sentences
from attnpred.tasks.tag_words import MOST_EXPLAINED

Made = dict[str, Any]  # a `word` of an answer, and the `steps` that made it


def words_of(tokens: Sequence[int], spec: Sentences) -> list[Made]:
    """Each word of the text that the tokens stand for, and the steps that made it."""
    steps = [step for step, token in enumerate(tokens) if spec.plain([token])]
    ends = [step for step, token in enumerate(tokens) if token == spec.end_id]
    steps = [step for step in steps if not ends or step < ends[0]]
    made: list[Made] = []
    said = ""
    for count, step in enumerate(steps, 1):
        now = spec.text([tokens[one] for one in steps[:count]])
        new = now[len(said) :] if now.startswith(said) else ""
        if not made or (new[:1].isspace() and new.strip()):
            made.append({"word": new.strip(), "steps": [step]})
        else:  # the same word goes on; where the text before changes, as in letters of several tokens, it is read again
            latest, whole = made[-1], now.split()[len(made) - 1 :]
            word = whole[0] if whole else latest["word"] + new
            made[-1] = {"word": word, "steps": [*latest["steps"], step]}
        said = now
    return made


def further(tokens: Tensor, choice: Tensor, spec: Sentences) -> list[Tensor]:
    """Choices of the first token of each other word, (batch,) each; `tokens` are (batch, steps).

    Of an answer with fewer words than others its `choice` is repeated.
    """
    found: list[list[int]] = []
    for row, chosen in zip(tokens.tolist(), choice.tolist(), strict=True):
        others = [one["steps"][0] for one in words_of(row, spec) if chosen // spec.vocab_size not in one["steps"]]
        found.append([step * spec.vocab_size + row[step] for step in others[:MOST_EXPLAINED]])
    count = max(map(len, found), default=0)
    rows = [own + [chosen] * (count - len(own)) for own, chosen in zip(found, choice.tolist(), strict=True)]
    return list(torch.tensor(rows, dtype=choice.dtype, device=choice.device).reshape(len(rows), count).unbind(1))


def aligned(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of `predict`: for each of its words the attention on those of the input, the mean over its steps."""
    found = {key: value for key, value in answer.items() if key not in ("steps", "made")}
    if "steps" not in answer:
        return found
    rows = by_word(answer["steps"], answer["made"])
    pairs = zip(answer["made"], rows, strict=True)
    alignment = [{"word": one["word"], "attention": row} for one, row in pairs]
    return {**found, "alignment": alignment}


def by_word(steps: Sequence[Sequence[float]], made: Sequence[Made]) -> list[list[float]]:
    """Of each word of an answer what its steps attended, on average."""
    rows = np.array(steps, np.float64).reshape(len(steps), -1)
    return [rows[one["steps"]].mean(0).tolist() for one in made]
