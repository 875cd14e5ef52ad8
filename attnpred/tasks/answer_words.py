"""Words of a generated text: which tokens make each, and what of the input each attended."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnpred.modalities.text.text_target import Sentences


def words_of(tokens: Sequence[int], spec: Sentences) -> list[tuple[str, list[int]]]:
    """Each word of the text that the tokens stand for, and the steps that made it."""
    steps = [step for step, token in enumerate(tokens) if spec.plain([token])]
    ends = [step for step, token in enumerate(tokens) if token == spec.end_id]
    steps = [step for step in steps if not ends or step < ends[0]]
    made: list[tuple[str, list[int]]] = []
    said = ""
    for count, step in enumerate(steps, 1):
        now = spec.text([tokens[one] for one in steps[:count]])
        new = now[len(said) :] if now.startswith(said) else ""
        if not made or (new[:1].isspace() and new.strip()):
            made.append((new.strip(), [step]))
        else:  # the same word goes on; where the text before changes, as in letters of several tokens, it is read again
            word, own = made[-1]
            whole = now.split()[len(made) - 1 :]
            made[-1] = (whole[0] if whole else word + new, [*own, step])
        said = now
    return made


def aligned(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of `predict`: for each of its words the attention on those of the input, the mean over its steps."""
    found = {key: value for key, value in answer.items() if key not in ("steps", "made")}
    if "steps" not in answer:
        return found
    rows = by_word(answer["steps"], answer["made"])
    alignment = [{"word": word, "attention": row} for (word, _), row in zip(answer["made"], rows, strict=True)]
    return {**found, "alignment": alignment}


def by_word(steps: Sequence[Sequence[float]], made: Sequence[tuple[str, list[int]]]) -> list[list[float]]:
    """Of each word of an answer what its steps attended, on average."""
    rows = np.array(steps, np.float64).reshape(len(steps), -1)
    return [rows[own].mean(0).tolist() for _, own in made]
