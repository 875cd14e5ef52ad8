"""Token ids of texts, word by word: most of a text's words came before, and are looked up.

The library normalizes, splits and searches every word anew, which takes ten times as long.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any

from attnpred.modalities.text.words import BEYOND_SPACES

MOST_BYTES = 2**26  # that the words may take
WORD_BYTES, ID_BYTES = 200, 36  # of a word, beside its letters, and of each of its ids
# Rules by which no word's tokens depend on the words around it
NORMALIZERS = ("NoneType", "BertNormalizer", "Lowercase")
PRE_TOKENIZERS = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")

Encode = Callable[[list[str]], list[list[int]]]


class WordCache:
    """Ids of the texts of one tokenizer whose words do not depend on one another; the same as the tokenizer's."""

    def __init__(self, tokenizer: Any, encode: Encode) -> None:
        """`encode` asks the tokenizer itself."""
        self._encode = encode
        self._known: dict[str, list[int]] = {}
        self._bytes = 0
        spaces = [chr(point) for point in range(BEYOND_SPACES) if chr(point).isspace()]
        self._joining = [space for space in spaces if not _parts(tokenizer, space)]

    @staticmethod
    def fits(tokenizer: Any) -> bool:
        """Whether the tokenizer is of that kind."""
        rules = type(tokenizer.normalizer).__name__, type(tokenizer.pre_tokenizer).__name__
        added = [one.content for one in tokenizer.get_added_tokens_decoder().values()]
        return (
            rules[0] in NORMALIZERS
            and rules[1] in PRE_TOKENIZERS
            and not getattr(tokenizer.model, "dropout", None)
            and not any(space for content in added for space in content if space.isspace())
        )

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Of each text, without special tokens; none of a text in which the tokenizer sees nothing."""
        whole = "".join(texts)
        if any(space in whole for space in self._joining):
            return self._encode(texts)
        words = [text.split() for text in texts]
        found = self._of_words(set(chain.from_iterable(words)))
        return [[number for word in own for number in found[word]] for own in words]

    def _of_words(self, wanted: set[str]) -> dict[str, list[int]]:
        """Ids of at least these words. Another thread may ask at the same time: what is known stays."""
        known = self._known
        new = [word for word in wanted if word not in known]
        if not new:
            return known
        made = dict(zip(new, self._encode(new), strict=True))
        size = sum(WORD_BYTES + 4 * len(word) + ID_BYTES * len(ids) for word, ids in made.items())
        if self._bytes + size <= MOST_BYTES:
            known.update(made)
            self._bytes += size
            return known
        return {word: made[word] if word in made else known[word] for word in wanted}


def _parts(tokenizer: Any, space: str) -> bool:
    """Whether this character parts words: some tokenizers leave it out, and join what is beside it."""
    text = f"a{space}a"
    text = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] == ["a", "a"]
