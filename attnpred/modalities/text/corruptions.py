"""What can be wrong with a text, in five severities: typing mistakes, other words, hidden words, another order."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor

from attnpred.errors import UserError
from attnpred.modalities.text.batch import TextInput
from attnpred.modalities.text.words import spell

SHARES = (0.05, 0.1, 0.2, 0.3, 0.4)  # of the words, or tokens
ROTATED = (0.1, 0.2, 0.3, 0.4, 0.5)  # share of the tokens that come to stand last
LETTERS = "abcdefghijklmnopqrstuvwxyz"
INSIDE, END = "##", "</w>"  # before a piece that goes on with a word, and behind one that ends it
SHORTEST = 3  # letters of a word in which one may go wrong


def typos(found: TextInput, reader: Any, severity: int, random: Generator) -> TextInput:
    """In that share of the words two letters exchanged, or one left out, put in or mistaken.

    Words are as their tokens spell them. How many there are does not change.
    """
    if found.segments is not None:
        raise UserError("--under typos: is for one text, and the model reads several; use noise or occlusion")
    ids = reader.vocabulary.ids
    rows = []
    for tokens, length in zip(found.tokens.tolist(), found.lengths.tolist(), strict=True):
        own = tokens[found.prefix : length - found.suffix]
        words = grouped(reader.vocabulary.tokenizer, own)
        wrong = (torch.rand(len(words), generator=random) < SHARES[severity - 1]).tolist()
        spelt = [mistyped(word, random) if bad else word for (word, _), bad in zip(words, wrong, strict=True)]
        if reader.vocabulary.tokenizer.decoder is not None:  # which tells a word by the space before it
            rows.append([ids([" ".join(spelt)])[0]])
            continue
        kept = zip(words, spelt, strict=True)
        pieces = [[own[place] for place in places] if text == word else ids([text])[0] for (word, places), text in kept]
        rows.append([[piece for word in pieces for piece in word]])
    changed: TextInput = reader.collate(rows)
    return changed


def grouped(tokenizer: Any, tokens: list[int]) -> list[tuple[str, list[int]]]:
    """The words that tokens make up, and the places of each one's tokens."""
    found: list[tuple[str, list[int]]] = []
    if tokenizer.decoder is not None:
        words, belongs = spell(tokenizer, tokens)
        found = [(word, []) for word in words]
        for place, number in enumerate(belongs):
            if number >= 0:
                found[number][1].append(place)
        return found
    goes_on = False
    for place, token in enumerate(tokens):
        piece = tokenizer.id_to_token(token) or ""
        text = piece.removeprefix(INSIDE).removesuffix(END)
        if found and (goes_on or piece.startswith(INSIDE)):
            found[-1] = (found[-1][0] + text, [*found[-1][1], place])
        else:
            found.append((text, [place]))
        goes_on = tokenizer.model.__class__.__name__ == "BPE" and not piece.endswith(END)
    return found


def mistyped(word: str, random: Generator) -> str:
    """The word with one mistake; as it is where it is short, or no word of letters."""
    if len(word) < SHORTEST or not word.isalpha():
        return word
    kind, place, letter = (int(torch.randint(most, (), generator=random)) for most in (4, len(word) - 1, len(LETTERS)))
    if kind == 0:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    middle = ("", LETTERS[letter] + word[place], LETTERS[letter])[kind - 1]
    return word[:place] + middle + word[place + 1 :]


def noise(found: TextInput, reader: Any, severity: int, random: Generator) -> TextInput:
    """That share of the tokens replaced by any others."""
    known = torch.tensor(sorted(reader.spec.spelled))
    drawn = known[torch.randint(len(known), found.tokens.shape, generator=random)]
    return replace(found, tokens=torch.where(_some(found, severity, random), drawn, found.tokens), evidence=None)


def occlusion(found: TextInput, reader: Any, severity: int, random: Generator) -> TextInput:
    """That share of the tokens hidden."""
    gone = _some(found, severity, random)
    return replace(found, tokens=found.tokens.masked_fill(gone, reader.spec.mask_id), evidence=None)


def shift(found: TextInput, reader: Any, severity: int, random: Generator) -> TextInput:
    """The first part of a text put behind the rest: the same words, each elsewhere."""
    own = found.own()
    place = torch.arange(found.tokens.shape[1]).expand_as(found.tokens)
    own = torch.ones_like(place, dtype=torch.bool) if own is None else own
    count, first = own.sum(1, keepdim=True), own.int().argmax(1, keepdim=True)
    moved = (ROTATED[severity - 1] * count).long()
    source = torch.where(own, first + (place - first + moved) % count.clamp(min=1), place)
    if found.segments is not None:
        raise UserError("--under shift: is for one text, and the model reads several; use noise or occlusion")
    return replace(found, tokens=found.tokens.gather(1, source), evidence=None)


def _some(found: TextInput, severity: int, random: Generator) -> Tensor:
    """That share of each text's own tokens, (batch, length) bool."""
    drawn = torch.rand(found.tokens.shape, generator=random) < SHARES[severity - 1]
    own = found.own()
    return drawn if own is None else drawn & own


CORRUPTIONS: Mapping[str, Callable[[TextInput, Any, int, Generator], TextInput]] = {
    "typos": typos,
    "noise": noise,
    "occlusion": occlusion,
    "shift": shift,
}
