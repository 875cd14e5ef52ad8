"""Tokenizers whose tokens give the text back, as answers that are texts need it.

A word's first token carries the space before it, and punctuation stands by itself. The same texts give the same file:
see `tokenizer_training`.
"""

import json
from collections.abc import Iterable
from typing import Any

from attnpred.config.data_options import TokenizerConfig
from attnpred.modalities.text.tokenizer_training import ALPHABET, MOST_CHARACTERS, count_characters, sampled
from attnpred.modalities.text.tokens import Vocabulary

PAD, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[BEGIN]", "[END]"
SPECIAL = [PAD, UNKNOWN, BEGIN, END]
BEGIN_ID, END_ID = SPECIAL.index(BEGIN), SPECIAL.index(END)
SPACE = "▁"  # what stands for the space before a word
STEP = 1e-4  # in score


def train_lossless(config: TokenizerConfig, texts: Iterable[str]) -> Vocabulary:
    """Learns a tokenizer from `texts`, or from a sample of them. It puts the end behind a text that is read."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers

    lower = [normalizers.Lowercase()] if config.lowercase else []
    normalizer = normalizers.Sequence([normalizers.NFC(), *lower])
    read = sampled(texts, MOST_CHARACTERS)
    stream = iter(read)
    alphabet: list[str] = []
    if config.kind != "word":
        alphabet, rare = count_characters(iter(read), normalizer, min(ALPHABET, config.vocab_size // 3))
        alphabet = sorted({*alphabet, SPACE})
        stream = (text.translate(rare) for text in stream) if rare else stream
    model, trainer = _algorithm(config, alphabet)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed"),
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"),
            pre_tokenizers.Punctuation("isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.train_from_iterator(stream, trainer)
    made = json.loads(tokenizer.to_str())
    if config.kind == "unigram":
        pieces, first = made["model"]["vocab"], len(SPECIAL)
        made["model"]["vocab"] = pieces[:first] + _in_order(pieces[first:])
    text = json.dumps(made, ensure_ascii=False, indent=1)
    return Vocabulary(text, pad_id=0, unknown_id=SPECIAL.index(UNKNOWN), suffix=(END_ID,))


def _in_order(pieces: list[list[Any]]) -> list[list[Any]]:
    """Unigram's pieces by their scores, in an order and with scores that are the same every time.

    Scores are sums of floats in a hash table's order, equal but for the last digits. Letters that no longer piece left
    over come last, in such an order too, each a little behind the one before: here in the alphabet's.
    """
    least = min((score for piece, score in pieces if len(piece) > 1), default=0.0)
    rest = sorted(piece for piece, score in pieces if len(piece) == 1 and score <= least)
    kept = [[piece, round(score, 4)] for piece, score in pieces if len(piece) > 1 or score > least]
    kept.sort(key=lambda one: (-one[1], one[0]))
    return kept + [[piece, round(least - STEP * (place + 1), 4)] for place, piece in enumerate(rest)]


def _algorithm(config: TokenizerConfig, alphabet: list[str]) -> tuple[Any, Any]:
    """The untrained model and its trainer."""
    from tokenizers import models, trainers

    common: dict[str, Any] = {"vocab_size": config.vocab_size, "special_tokens": SPECIAL, "show_progress": False}
    if config.kind == "bpe":
        common |= {"initial_alphabet": alphabet, "limit_alphabet": len(alphabet)}
        return models.BPE(unk_token=UNKNOWN, fuse_unk=True), trainers.BpeTrainer(**common)
    if config.kind == "unigram":
        return models.Unigram(), trainers.UnigramTrainer(**common, unk_token=UNKNOWN)
    return models.WordLevel(unk_token=UNKNOWN), trainers.WordLevelTrainer(**common)
