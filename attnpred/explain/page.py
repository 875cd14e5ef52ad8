"""The report of explanations: one HTML file that asks the network for nothing and trusts no text it shows.

`render` takes the story as plain containers:

    {"title", "run", "model", "data": str, "split": str or None, "modality": such as "text", "classes": [str],
     "scored": str,                                              what is watched while parts are taken away
     "explainers": [{"name", "signed": bool, "about"}],          in the order of the page
     "faithfulness": None or {"removal": str, "examples": int, "fractions": [number],
       "scores": {explainer: {measure: [mean, low, high]}},      "random" is the floor; any key may be missing
       "tests": {explainer: {measure: {"difference", "low", "high", "p", "examples"}}},    from the floor, paired
       "curves": {explainer: {"deletion": [a probability a fraction], "insertion": [..]}},
       "sanity": {explainer: number}},
     "overview": None or what `overview.overview` gives,
     "examples": [{"id": int, "label": str or None, "predicted", "explained": str, "probabilities": {class: number},
       "scores": {explainer: {measure: number}},                 where they were measured; not for the page
       "wrong": bool, "confidence": number or None, "order": number,
       "words": [str], and of several texts "texts": {name: how many of the words}, "across": [[a share a text] a text]
                                                                 or, of an image,
       "image": "data:image/png;base64,..", "size": [height, width], "grid": [rows, columns],
       "rows", "columns": [str]                                  names of these, where they have some, as a series has
                                                                 or, of several inputs,
       "inputs": [{"name", and of each the above}],              whose parts follow one another in maps and evidence
       "cross": [[a share a part] a part],                       how much each attends to each, where that is known
       "maps": {explainer: [a number a word or region]},
       "marks": [None or [its answer, the truth or None] a word],   where words have answers of their own
       "alignment": {"words": [str], "rows": [[a share a word] a word of the answer]},   where the answer is a text,
       "choices": [{"word": its place, "explained", "maps": as above}],  of either, those that are explained, the usual
                                                                 one first
       "beside": what another run answers,                       whose map is "beside"
       "prototypes": [{"id", "label", "predicted", "likeness": number, "map": [number], and what it shows, as here}],
       "evidence": [0 or 1 a word or region],                    where it is known
       "answers": [{"name", "label", "predicted", "explained", "wrong", "confidence", "probabilities", "maps"}],
                                                                 where there are several, as above each
       "heads": None or [[[a number a word or region], .. a head], .. a layer]}]}

Of several inputs "faithfulness" has "inputs": {name: {"fall", "share": {explainer}, "scores", "tests"}}. They say what
the score loses without the whole input, its share of each map, and what was measured on its parts alone.
Of several answers "faithfulness" has "answers": {name: as above, with its own "scored"} beside.

The page gets it as JSON, with maps as base64 of small integers: a thousand reviews stay some megabytes.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnpred.pages.page import fill

STYLES = (
    "colours.css",
    "page.css",
    "pieces.css",
    "faithfulness.css",
    "examples.css",
    "heads.css",
    "marks.css",
    "alignment.css",
    "inputs.css",
    "media.css",
)
SCRIPTS = (
    "dom.js",
    "take.js",
    "base.js",
    "maps.js",
    "marks.js",
    "alignment.js",
    "answers.js",
    "inputs.js",
    "heads.js",
    "charts.js",
    "overview.js",
    "faithfulness.js",
    "examples.js",
    "main.js",
)
MOST_CLASSES = 5  # whose probabilities an example shows
HEADS_BUDGET = 6_000_000  # bytes of base64; a page that opens in two seconds has room for them
PICTURE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")


def render(story: Mapping[str, Any]) -> str:
    """The whole page. Examples come mistakes first, and of each kind the surest first."""
    title = f"{story['title']}: explanations"
    return fill("attnpred.explain", "page.html", title, STYLES, SCRIPTS, _compact(story))


def _compact(story: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: story[key] for key in ("title", "run", "model", "data", "split", "modality", "scored", "explainers")}
    examples = sorted(story["examples"], key=_rank)
    classes = list(dict.fromkeys([*story["classes"], *(name for example in examples for name in _named(example))]))
    number = {name: i for i, name in enumerate(classes)}
    compact = [_example(example, number) for example in examples]
    with_heads = _add_heads(compact, examples)
    faithfulness = story.get("faithfulness")
    return {
        **kept,
        "classes": classes,
        "listed": bool(story["classes"]),
        "faithfulness": faithfulness and _plain(faithfulness),
        "overview": _plain(story.get("overview")),
        "headsKept": with_heads,
        "headsGiven": sum(bool(example.get("heads")) for example in examples),
        "examples": compact,
    }


def _rank(example: Mapping[str, Any]) -> tuple[bool, float]:
    return not example["wrong"], -example["order"]


def _named(example: Mapping[str, Any]) -> list[str]:
    names = [name for one in (example, *example.get("answers", ())) for name in _of_answer(one)]
    names += [name for mark in example.get("marks", ()) for name in mark or ()]
    names += [example["beside"]] if "beside" in example else []
    names += [one[key] for one in example.get("prototypes", ()) for key in ("label", "predicted")]
    names += [choice["explained"] for choice in example.get("choices", ())]
    return [name for name in names if name is not None]


def _of_answer(one: Mapping[str, Any]) -> list[str | None]:
    return [one["label"], one["predicted"], one["explained"], *one["probabilities"]]


def _answer(one: Mapping[str, Any], number: Mapping[str, int]) -> dict[str, Any]:
    """Classes by number, and the probabilities of the likeliest and of those that the answer names."""
    label, predicted, explained = (one[key] for key in ("label", "predicted", "explained"))
    probabilities = sorted(one["probabilities"].items(), key=lambda pair: -pair[1])
    shown = [pair for i, pair in enumerate(probabilities) if i < MOST_CLASSES or pair[0] in (label, explained)]
    return {
        "label": None if label is None else number[label],
        "predicted": number[predicted],
        "explained": number[explained],
        "wrong": one["wrong"],
        "confidence": None if one["confidence"] is None else _rounded(one["confidence"]),
        "probabilities": [[number[name], _rounded(value)] for name, value in shown],
        "maps": {name: _packed(values, np.int16) for name, values in one["maps"].items()},
    }


def _example(example: Mapping[str, Any], number: Mapping[str, int]) -> dict[str, Any]:
    compact: dict[str, Any] = {"id": example["id"], **_answer(example, number)}
    if "inputs" in example:
        each = [_shown(one, example["id"]) for one in example["inputs"]]
        compact["inputs"] = [
            {"name": one["name"], **shown} for one, (shown, _) in zip(example["inputs"], each, strict=True)
        ]
        parts = sum(count for _, count in each)
        if "cross" in example:
            compact["cross"] = _packed([value for row in example["cross"] for value in row], np.int8)
    else:
        shown, parts = _shown(example, example["id"])
        compact |= shown
    for name, values in example["maps"].items():
        if len(values) != parts:
            raise ValueError(f"example {example['id']}: the map {name} has {len(values)} numbers for {parts} parts")
    if "answers" in example:
        compact["answers"] = [{"name": one["name"], **_answer(one, number)} for one in example["answers"]]
    if "marks" in example:
        compact["marks"] = [
            mark and [None if name is None else number[name] for name in mark] for mark in example["marks"]
        ]
    if "choices" in example:
        compact["choices"] = [_choice(choice, number) for choice in example["choices"]]
    if "alignment" in example:
        compact["alignment"] = _plain(example["alignment"])
    if "beside" in example:
        compact["beside"] = number[example["beside"]]
    if "prototypes" in example:
        compact["prototypes"] = [_prototype(one, number) for one in example["prototypes"]]
    if example.get("evidence"):
        compact["evidence"] = [i for i, value in enumerate(example["evidence"]) if value]
    return compact


def _prototype(one: Mapping[str, Any], number: Mapping[str, int]) -> dict[str, Any]:
    """A training example that is like another, with its own map."""
    if "image" in one and not PICTURE.fullmatch(one["image"]):
        raise ValueError(f"example {one['id']}: an image must be a base64 data: URI, not {one['image'][:40]}")
    shown = {key: one[key] for key in ("id", "words", "image", "size", "grid", "rows", "columns") if key in one}
    label = None if one["label"] is None else number[one["label"]]
    told = {"label": label, "predicted": number[one["predicted"]], "likeness": _rounded(one["likeness"])}
    return {**shown, **told, "map": _packed(one["map"], np.int16)}


def _shown(one: Mapping[str, Any], number: int) -> tuple[dict[str, Any], int]:
    """An input as the page draws it, and how many parts it has."""
    if "words" in one:
        compact = {"words": one["words"]}
        if "texts" in one:
            compact |= {"texts": list(one["texts"].items()), "across": _plain(one.get("across"))}
        return compact, len(one["words"])
    if not PICTURE.fullmatch(one["image"]):
        raise ValueError(f"example {number}: an image must be a base64 data: URI, not {one['image'][:40]}")
    compact = {key: one[key] for key in ("image", "size", "grid", "rows", "columns") if key in one}
    return compact, one["grid"][0] * one["grid"][1]


def _choice(choice: Mapping[str, Any], number: Mapping[str, int]) -> dict[str, Any]:
    """A word whose answer is explained, and the maps of that."""
    maps = {name: _packed(values, np.int16) for name, values in choice["maps"].items()}
    return {"word": choice["word"], "explained": number[choice["explained"]], "maps": maps}


def _add_heads(compact: Sequence[dict[str, Any]], examples: Sequence[Mapping[str, Any]]) -> int:
    """Per-head maps for the first examples of the page, as many as the budget holds; answers how many."""
    spent = kept = 0
    for target, example in zip(compact, examples, strict=True):
        if not example.get("heads"):
            continue
        layers = [[_packed(head, np.int8) for head in layer] for layer in example["heads"]]
        spent += sum(len(text) + 12 for layer in layers for _, text in layer)
        if spent > HEADS_BUDGET:
            break
        target["heads"] = layers
        kept += 1
    return kept


def _packed(values: Sequence[float], kind: type[np.signedinteger[Any]]) -> tuple[float, str]:
    """The greatest magnitude, and base64 of every value as a share of it; NaN and infinity count as 0."""
    finite = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(np.abs(finite).max(initial=0.0))
    share = finite / top if top > 0 else finite
    whole = (share * np.iinfo(kind).max).round().astype(np.dtype(kind).newbyteorder("<"))
    return float(f"{top:.4g}"), base64.b64encode(whole.tobytes()).decode()


def _plain(value: Any) -> Any:
    """The same containers with rounded numbers, None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return _rounded(value) if isinstance(value, float) else value


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
