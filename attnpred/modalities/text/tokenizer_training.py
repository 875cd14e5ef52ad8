"""Training a tokenizer so that the same texts always give the same file.

The library's own trainers number pieces, and break ties among rare characters, in the order of a hash table that
differs from process to process. Here the characters are counted first; with the alphabet given, the rest is exact.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random
from typing import Any

import numpy as np

from attnpred.config.data_options import TokenizerConfig
from attnpred.modalities.text.tokens import Vocabulary

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
ALPHABET = 1000  # characters that get a piece of their own, at most; and at most a third of the vocabulary
AFFIXES = {"wordpiece": "##{}", "bpe": "{}</w>"}  # how a character inside, or at the end of, a word is written
CODE_POINTS = 0x110000
CHUNK = 2000  # texts counted at once
MOST_CHARACTERS = 2**26  # of the texts that are learned from, which are in memory meanwhile


def train_vocabulary(config: TokenizerConfig, texts: Iterable[str], *, masks: bool = False) -> Vocabulary:
    """Learns a tokenizer from `texts`, or from a sample of them. It puts no special tokens around a text.

    With `masks` it has a token that stands for a hidden one.
    """
    from tokenizers import Tokenizer, normalizers, pre_tokenizers

    normalizer = normalizers.BertNormalizer(lowercase=config.lowercase)
    read = sampled(texts, MOST_CHARACTERS)
    stream = iter(read)
    alphabet: list[str] = []
    if config.kind != "word":
        alphabet, rare = count_characters(iter(read), normalizer, min(ALPHABET, config.vocab_size // 3))
        stream = (text.translate(rare) for text in stream) if rare else stream
    affixed = [AFFIXES[config.kind].format(c) for c in alphabet] if config.kind in AFFIXES else []
    special = [PAD, UNKNOWN, *([MASK] if masks else [])]
    model, trainer = _algorithm(config, alphabet, [*special, *affixed])
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(stream, trainer)
    made = json.loads(tokenizer.to_str())
    # affixed characters were given as special tokens for their fixed numbers only
    made["added_tokens"] = [t for t in made["added_tokens"] if t["content"] in special]
    if config.kind == "unigram":
        # sums of floats in a hash table's order: equal but for the last digits
        pieces = made["model"]["vocab"]
        first = len(special)
        learned = sorted(([p, round(s, 6)] for p, s in pieces[first:]), key=lambda piece: (-piece[1], piece[0]))
        made["model"]["vocab"] = pieces[:first] + learned
    text = json.dumps(made, ensure_ascii=False, indent=1)
    return Vocabulary(text, pad_id=0, unknown_id=1, mask_id=2 if masks else None)


def sampled(texts: Iterable[str], most: int) -> list[str]:
    """All of the texts, or a random half, quarter and so on that has `most` characters at most; the same every time."""
    random, share = Random(0), 1.0
    kept: list[tuple[float, str]] = []
    held = 0
    for text in texts:
        place = random.random()
        if place >= share:
            continue
        kept.append((place, text))
        held += len(text)
        while held > most and len(kept) > 1:
            share /= 2
            kept = [one for one in kept if one[0] < share] or [min(kept)]
            held = sum(len(one) for _, one in kept)
    return [text for _, text in kept]


def _algorithm(config: TokenizerConfig, alphabet: list[str], special: list[str]) -> tuple[Any, Any]:
    """The untrained model and its trainer."""
    from tokenizers import models, trainers

    common: dict[str, Any] = {"vocab_size": config.vocab_size, "special_tokens": special, "show_progress": False}
    fixed: dict[str, Any] = {"initial_alphabet": alphabet, "limit_alphabet": len(alphabet)}
    if config.kind == "wordpiece":
        return models.WordPiece(unk_token=UNKNOWN), trainers.WordPieceTrainer(**common, **fixed)
    if config.kind == "bpe":
        model = models.BPE(unk_token=UNKNOWN, end_of_word_suffix="</w>")
        return model, trainers.BpeTrainer(**common, **fixed, end_of_word_suffix="</w>")
    if config.kind == "unigram":
        return models.Unigram(), trainers.UnigramTrainer(**common, unk_token=UNKNOWN)
    return models.WordLevel(unk_token=UNKNOWN), trainers.WordLevelTrainer(**common)


def count_characters(texts: Iterator[str], normalizer: Any, most: int) -> tuple[list[str], dict[int, str]]:
    """The `most` commonest characters as normalised, sorted; and a table that blanks the raw characters beyond them."""
    counts = np.zeros(CODE_POINTS, np.int64)
    while chunk := "".join(islice(texts, CHUNK)):
        counts += np.bincount(np.frombuffer(chunk.encode("utf-32-le"), np.uint32), minlength=CODE_POINTS)
    raw = {chr(point): int(counts[point]) for point in np.flatnonzero(counts)}
    becomes = {c: "".join(normalizer.normalize_str(c).split()) for c in raw}
    total: dict[str, int] = {}
    for c, count in raw.items():
        for normal in becomes[c]:
            total[normal] = total.get(normal, 0) + count
    kept = set(sorted(total, key=lambda c: (-total[c], c))[:most])
    rare = {ord(c): " " for c in raw if not set(becomes[c]) <= kept}
    return sorted(kept), rare
