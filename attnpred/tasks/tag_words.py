"""Tags and spans as programs and people read them: of an example's words, and of their places in its text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attnpred.contracts import AnswerSpec, ModelOutput
from attnpred.data.tags_target import OUTSIDE, Tags
from attnpred.tasks.entities import spans

MOST_EXPLAINED = 8  # words of an example, beside the one that is explained in any case


def described(
    output: ModelOutput, said: Tensor, part: Sequence[int], column: Sequence[int], spec: Tags
) -> list[dict[str, Any]]:
    """Of each word that was read its number, tag and probability; spans; and the word whose tag is explained.

    `said` (batch, parts): the tags; `part`, `column`: of each example, what is explained.
    """
    assert output.answered is not None
    chances = output.answer.float().softmax(-1)  # (batch, parts, tags)
    sure = chances.gather(2, said.clamp(min=0)[..., None])[..., 0].tolist()
    rows = zip(output.answered.tolist(), said.tolist(), sure, part, column, strict=True)
    found = []
    for places, numbers, scores, chosen, tag in rows:
        read = [i for i, place in enumerate(places) if place >= 0]
        words = [places[i] for i in read]
        tags = [spec.tags[numbers[i]] for i in read]
        shares = [scores[i] for i in read]
        found.append(
            {
                "spans": _scored(words, tags, shares, spec.scheme),
                "read": words,
                "tags": tags,
                "scores": shares,
                "explained": {"word": places[chosen], "tag": spec.tags[tag]} if words else None,
            }
        )
    return found


def _scored(words: Sequence[int], tags: Sequence[str], scores: Sequence[float], scheme: str) -> list[dict[str, Any]]:
    """Spans by the numbers of their words; a span is as sure as its least sure word. Words cut away part spans."""
    tag = dict(zip(words, tags, strict=True))
    sure = dict(zip(words, scores, strict=True))
    whole = [tag.get(word, OUTSIDE) for word in range(max(words, default=-1) + 1)]
    return [
        {"tag": span.type, "score": min(sure[word] for word in range(span.first, span.end)), "words": span[:2]}
        for span in spans(whole, scheme)
    ]


def located(answer: Mapping[str, Any]) -> dict[str, Any]:
    """With each span's text and its place in the input; a word that was cut away has neither tag nor score."""
    text, places = answer["input"], answer["characters"]
    found = []
    for span in answer["spans"]:
        first, end = span["words"]
        start, stop = places[first][0], places[end - 1][1]
        place = {"text": text[start:stop], "start": start, "end": stop}
        found.append({**place, "tag": span["tag"], "score": span["score"]})
    by_word = {}
    for name in ("tags", "scores"):
        known = dict(zip(answer["read"], answer[name], strict=True))
        by_word[name] = [known.get(word) for word in range(len(places))]
    rest = {key: value for key, value in answer.items() if key not in ("characters", "read", "spans", "tags", "scores")}
    return {"input": rest.pop("input"), "spans": found, "words": rest.pop("words"), **by_word, **rest}


def words_for(found: Sequence[Mapping[str, Any]]) -> str:
    """Spans in a few words: by their texts where those are known, else how many there are of each type."""
    if not found:
        return "no spans"
    if all("text" in span for span in found):
        return "; ".join(f"{span['text']}: {span['tag']}" for span in found)
    counts = Counter(span["tag"] for span in found)
    return ", ".join(f"{tag} ×{count}" if count > 1 else tag for tag, count in counts.items())


def further(said: Tensor, true: Tensor | None, choice: Tensor, answer: AnswerSpec) -> list[Tensor]:
    """Choices of the tags said of those words that are, or should be, more than nothing: (batch,) each.

    `said` and `true` are (batch, parts). Of an example with fewer words than others its `choice` is repeated.
    """
    outside = -1 if answer.nothing is None else answer.nothing
    shown = (said >= 0) & (said != outside)
    if true is not None:
        shown = (shown | (true != outside)) & (true >= 0)
    shown = shown.scatter(1, answer.place(choice)[0][:, None], False)
    count = min(int(shown.sum(1).max()), MOST_EXPLAINED)
    place = (~shown).int().argsort(dim=1, stable=True)[:, :count]  # (batch, count): from the first word on
    flat = place * answer.width + said.clamp(min=0).gather(1, place)
    return list(torch.where(shown.gather(1, place), flat, choice[:, None]).unbind(1))
