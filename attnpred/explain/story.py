"""What people are shown of explained examples, as plain containers: a report draws it, a program reads it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.explain.base import evidence_parts, own_parts
from attnpred.explain.study import Explained
from attnpred.modalities.reader import Describe, Reader
from attnpred.tasks.answer_words import by_word
from attnpred.tasks.base import Summary, Task

OF_AN_ANSWER = ("label", "predicted", "explained", "wrong", "confidence", "probabilities", "maps", "scores")


def examples(explained: Explained, task: Task, reader: Reader[Any, Any], describe: Describe) -> list[dict[str, Any]]:
    """One description an example, with every explainer's map: a number a word or region."""
    batch, attention = explained.batch, explained.attention

    def shown(importance: Tensor) -> list[list[float]]:
        return reader.maps(reader.of(batch), importance, attention, describe)

    maps = {name: shown(importance) for name, importance in explained.maps.items()}
    heads = [[shown(head) for head in layer] for layer in _heads(explained)]
    evidence = evidence_parts(batch, attention.grids)
    known = None if evidence is None else shown(evidence.float())
    inputs = reader.shown(reader.of(batch), attention, describe)
    across = _across(explained)
    further = _further(explained, task, shown)
    aligned = _aligned(explained, shown)
    summaries = task.summaries(explained.output, explained.choice, batch)
    found = []
    for row, summary in enumerate(summaries):
        found.append(
            {
                "id": int(batch.ids[row]),
                "label": summary.true,
                "predicted": summary.predicted,
                "explained": summary.explained,
                "wrong": summary.wrong,
                "confidence": summary.confidence,
                "order": summary.order,
                "probabilities": summary.described.get("probabilities", {}),
                **inputs[row],
                **({} if across is None else {"across": across[row]}),
                **({} if aligned is None else _alignment(summary, [step[row] for step in aligned], further[row])),
                "maps": {name: rows[row] for name, rows in maps.items()},
                **_by_word(summary, further[row], len(inputs[row].get("words", ()))),
                "heads": [[rows[row] for rows in layer] for layer in heads],
                **({} if known is None else {"evidence": [int(share > 0) for share in known[row]]}),
            }
        )
    return found


def _aligned(explained: Explained, shown: Callable[[Tensor], list[list[float]]]) -> list[list[list[float]]] | None:
    """Of an answer that is a text, what each of its steps attended: a step, an example, a word."""
    steps = explained.attention.steps  # (batch, steps, parts)
    return None if steps is None else [shown(step) for step in steps.unbind(1)]


def _alignment(summary: Summary, steps: list[list[float]], further: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer's words, what each attended, and those that are explained."""
    made = summary.described["made"]  # of each word the steps that made it
    word_of = {step: number for number, one in enumerate(made) for step in one["steps"]}
    choices = [{**choice, "word": word_of[choice["word"]]} for choice in further if choice["word"] in word_of]
    return {"alignment": {"words": [one["word"] for one in made], "rows": by_word(steps, made)}, "choices": choices}


def merged(of_each: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Of several answers' examples one list: the first's, with what is shown of each answer under its name."""
    first, *_ = of_each.values()
    rows = zip(*of_each.values(), strict=True)
    answers = [
        [{"name": n, **{k: one[k] for k in OF_AN_ANSWER if k in one}} for n, one in zip(of_each, r, strict=True)]
        for r in rows
    ]
    if len(of_each) == 1:
        return first
    return [
        {**one, "wrong": any(answer["wrong"] for answer in own), "answers": own}
        for one, own in zip(first, answers, strict=True)
    ]


def _by_word(summary: Summary, further: list[dict[str, Any]], words: int) -> dict[str, Any]:
    """Of an example whose words have answers of their own: these, and the words whose answers are explained.

    Where the example shows words that were cut away, they have None.
    """
    if summary.marks is None:
        return {}
    read = summary.described["read"] if words != len(summary.marks) else range(words)
    marks: list[list[str | None] | None] = [None] * words
    for place, mark in zip(read, summary.marks, strict=True):
        marks[place] = list(mark)
    return {"marks": marks, "choices": [{**choice, "word": read[choice["word"]]} for choice in further]}


def _further(
    explained: Explained, task: Task, shown: Callable[[Tensor], list[list[float]]]
) -> list[list[dict[str, Any]]]:
    """Of each example the words that are explained, the usual one first: which, what, and every explainer's map."""
    answered = explained.output.answered
    found: list[list[dict[str, Any]]] = [[] for _ in range(len(explained.batch))]
    if answered is None:
        return found
    rank = (answered >= 0).cumsum(1) - 1  # (batch, parts): among the words that were read
    for choice, maps in ((explained.choice, explained.maps), *explained.further):
        numbers = {name: shown(importance) for name, importance in maps.items()}
        at = rank.gather(1, task.answer.place(choice)[0][:, None])[:, 0].tolist()
        for row, word in enumerate(at):
            if word >= 0 and all(word != other["word"] for other in found[row]):
                some = {name: rows[row] for name, rows in numbers.items()}
                found[row].append({"word": word, "explained": task.choice_name(int(choice[row])), "maps": some})
    return found


def _across(explained: Explained) -> list[list[list[float]]] | None:
    """Of several texts, how much the words of each attend to those of each: the mean over layers, heads and words."""
    inputs = list(explained.batch.inputs.values())
    segments = getattr(inputs[0], "segments", None) if len(inputs) == 1 else None  # (batch, parts)
    if segments is None or not explained.attention.layers:
        return None
    parts = segments.shape[1]
    own = F.one_hot((segments + 1).clamp(min=0))[..., 1:].float()  # (batch, parts, texts)
    mean = torch.stack([w[..., -parts:, -parts:].float().mean(1) for w in explained.attention.layers]).mean(0)
    counts = own.sum(1).clamp(min=1)[..., None]  # (batch, texts, 1)
    found: list[list[list[float]]] = ((own.transpose(1, 2) @ mean @ own) / counts).tolist()
    return found


def _heads(explained: Explained) -> Iterator[list[Tensor]]:
    """Of each layer and head what every part receives, (batch, parts), as the mean over the queries that are parts."""
    parts = explained.attention.importance.shape[1]
    own = own_parts(explained.batch, explained.attention.grids)  # (batch, parts)
    for weights in explained.attention.layers:
        inner = weights[..., -parts:].float()  # (batch, heads, query, parts)
        if own is not None:
            inner = inner[:, :, -parts:] * own[:, None, :, None]
        yield list(inner.sum(2).unbind(1))
