"""A tokenizer as it is kept, a checkpoint's own tokenizer, and the store of token ids that either makes of a split."""

import hashlib
import html
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.data.batching import Integers
from attnpred.data.evidence import EvidenceColumn, Marks, append_evidence, stored_evidence
from attnpred.data.splits import Rows
from attnpred.data.store import Store, digest, save_store
from attnpred.data.targets import Collector
from attnpred.errors import UserError
from attnpred.files import named, read_json, write_json
from attnpred.machine import hub
from attnpred.modalities.text.tokenizer_check import check, check_added, is_panic, panics_told
from attnpred.modalities.text.word_cache import WordCache

TOKENIZER_FILE, VOCABULARY_FILE, IDS_FILE, OFFSETS_FILE = "tokenizer.json", "vocabulary.json", "ids.bin", "offsets.bin"
CHUNK = 2**16  # rows worked on at once
PLACE = "model.source"  # the option that names a checkpoint
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def clean(text: str, strip_html: bool) -> str:
    """What the tokenizer gets: valid Unicode, which a shell's arguments need not be, and no HTML where so asked."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return html.unescape(_BREAK.sub("\n", text)) if strip_html else text


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer as its file's text, and what that does not say in one word."""

    tokenizer_json: str
    pad_id: int
    unknown_id: int  # what an empty text becomes
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    max_length: int | None = None  # the longest sequence that the checkpoint can take
    mask_id: int | None = None  # stands for a token that is taken away; where there is none, the unknown one does
    between: tuple[int, ...] = ()  # special tokens between two texts that are read together

    @cached_property
    def tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_str(self.tokenizer_json)
        except BaseException as error:
            if not is_panic(error):
                raise
            raise ValueError(str(error)) from None
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def size(self) -> int:
        # not the count: numbers can have gaps
        return int(max(self.tokenizer.get_vocab(with_added_tokens=True).values())) + 1

    @cached_property
    def spelled(self) -> dict[int, str]:
        """Tokens as the tokenizer writes them, by number, but for special ones."""
        special = {number for number, added in self.tokenizer.get_added_tokens_decoder().items() if added.special}
        tokens = self.tokenizer.get_vocab(with_added_tokens=True)
        return {number: token for token, number in tokens.items() if number not in special}

    @cached_property
    def letters(self) -> NDArray[np.int64]:
        """How many letters each token has, by its number; a special one has none."""
        found = np.zeros(self.size, np.int64)
        for number, token in self.spelled.items():
            found[number] = len(token.removeprefix("##"))
        return found

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.blake2b(self.tokenizer_json.encode(), digest_size=16).hexdigest()

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids without special tokens; an empty text becomes one unknown token."""
        found = self._encode(texts) if self._words is None else self._words.ids(texts)
        return [ids or [self.unknown_id] for ids in found]

    @cached_property
    def _words(self) -> WordCache | None:
        return WordCache(self.tokenizer, self._encode) if WordCache.fits(self.tokenizer) else None

    def _encode(self, texts: list[str]) -> list[list[int]]:
        with panics_told():
            return [e.ids for e in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def ids_and_spans(self, texts: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """`ids`, and where in its text each token begins and ends; the unknown token of an empty text is nowhere."""
        with panics_told():
            encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [(e.ids or [self.unknown_id], e.offsets) for e in encoded]

    def save(self, directory: Path) -> None:
        values = asdict(self)
        (directory / TOKENIZER_FILE).write_text(values.pop("tokenizer_json"), encoding="utf-8")
        write_json(directory / VOCABULARY_FILE, values)

    @classmethod
    def load(cls, directory: Path) -> "Vocabulary":
        values = read_json(directory / VOCABULARY_FILE)
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls((directory / TOKENIZER_FILE).read_text(encoding="utf-8"), **values)


def begun_with(reader: Any) -> Vocabulary:
    """The vocabulary of a run whose weights another begins with, whose `reader` it is."""
    if not hasattr(reader, "vocabulary"):
        raise UserError(f"model.init_from: the run there reads {reader.name}, and not texts; give another")
    mask_id = None if reader.spec.mask_id == reader.vocabulary.unknown_id else reader.spec.mask_id
    found: Vocabulary = replace(reader.vocabulary, mask_id=mask_id)
    return found


def checkpoint_vocabulary(source: str) -> Vocabulary:
    """The tokenizer that belongs to a checkpoint, from a directory, the hub's cache, or the hub."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    local = hub.locate_model(source, place=PLACE)
    _check_file(source, local)
    try:
        found = _pretrained(str(local or source), local_files_only=True)
    except Exception as error:  # of many types, by what is missing
        if local is not None:
            raise UserError(
                f"{PLACE}={source}: no tokenizer can be read there: {' '.join(str(error).split())}"
            ) from error
        hub.require(source, None, place=PLACE, kind="model")
        with suppress(EntryNotFoundError):
            hf_hub_download(source, TOKENIZER_FILE)
        _check_file(source, local)
        found = _pretrained(source, local_files_only=False)
    backend = getattr(found, "backend_tokenizer", None)
    if backend is None:
        raise UserError(
            f"{PLACE}={source}: its tokenizer has no fast version; choose a checkpoint with a tokenizer.json"
        )
    # files come with padding and truncation switched on
    backend.no_padding()
    backend.no_truncation()
    with panics_told():
        own = backend.encode("a", add_special_tokens=False).ids
        prefix, suffix = _around(backend.encode("a").ids, own)
        _, rest = _around(backend.encode("a", "a").ids, own)
    between, _ = _around(rest, own)
    others = (found.unk_token_id, found.eos_token_id, 0)
    fallback = next(i for i in others if i is not None)
    return Vocabulary(
        tokenizer_json=backend.to_str(),
        pad_id=found.pad_token_id if found.pad_token_id is not None else fallback,
        unknown_id=fallback,
        prefix=tuple(prefix),
        suffix=tuple(suffix),
        max_length=found.model_max_length,
        mask_id=found.mask_token_id,
        between=tuple(between),
    )


def _pretrained(source: str, *, local_files_only: bool) -> Any:
    from transformers import AutoTokenizer

    with hub.quiet_transformers(), panics_told():
        return AutoTokenizer.from_pretrained(source, local_files_only=local_files_only, trust_remote_code=False)


def _check_file(source: str, local: Path | None) -> None:
    """Checks the checkpoint's tokenizer.json where it has one; else its tokenizer is made of plain lists of words."""
    from huggingface_hub import try_to_load_from_cache

    file = local / TOKENIZER_FILE if local else try_to_load_from_cache(source, TOKENIZER_FILE)
    if isinstance(file, str | Path) and Path(file).is_file():
        check(Path(file).read_text(encoding="utf-8", errors="replace"), f"{PLACE}={source}")
    settings = local / "tokenizer_config.json" if local else None
    if settings is not None and settings.is_file():
        values = read_json(settings)
        added = values.get("added_tokens_decoder") if isinstance(values, dict) else None
        check_added((one for one in (added or {}).values() if isinstance(one, dict)), f"{PLACE}={source}")


def _around(whole: list[int], own: list[int]) -> tuple[list[int], list[int]]:
    """What stands before the first `own` in a sequence, and behind it."""
    start = next(i for i in range(len(whole)) if whole[i : i + len(own)] == own)
    return whole[:start], whole[start + len(own) :]


class TokenStore(Store):
    """Every row's token ids, whole and without special tokens, one after the other in a flat file; evidence alike.

    A row has one text, or as many as `about` says; they follow one another.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._texts: int = self.about["texts"]  # a row
        with named(directory):
            # as plain arrays: a memmap's own slices take several times as long to make
            self._ids = np.memmap(directory / IDS_FILE, self.about["dtype"], mode="r").view(np.ndarray)
            self._offsets = np.memmap(directory / OFFSETS_FILE, np.int64, mode="r").view(np.ndarray)
        self._evidence = stored_evidence(directory, (self._ids.size,), np.bool_)

    def lengths(self, rows: Rows) -> NDArray[np.uint32]:
        """How many tokens each of these rows has, in all of its texts."""
        found = np.empty(len(rows), np.uint32)
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK].astype(np.int64) * self._texts
            found[start : start + CHUNK] = self._offsets[some + self._texts] - self._offsets[some]
        return found

    def row(self, row: int) -> list[NDArray[Any]]:
        """The tokens of each of the row's texts."""
        first = int(row) * self._texts
        bounds = self._offsets[first : first + self._texts + 1]
        return [self._ids[start:end] for start, end in pairwise(bounds)]

    def evidence(self, rows: Integers) -> list[Marks] | None:
        """Which of these rows' tokens decided the answer, of all of its texts; None where none is known."""
        if self._evidence is None:
            return None
        firsts = [int(row) * self._texts for row in rows]
        return [self._evidence[self._offsets[f] : self._offsets[f + self._texts]] for f in firsts]


def write_tokens(
    directory: Path,
    vocabulary: Vocabulary,
    rows: Iterator[tuple[list[list[str]], list[list[Any]], list[Any], list[bool] | None]],
    targets: Collector,
    evidence: EvidenceColumn | None = None,
    *,
    ids: Callable[[list[Any]], list[list[int]]] | None = None,
) -> None:
    """Encodes chunks of rows as they come, so that memory holds one chunk whatever the dataset's size.

    A chunk holds the columns of texts, those of the target, that of the evidence where there is one, and which rows
    are usable (None where all are). `ids` gives the tokens of texts, where it is not the vocabulary itself that does.
    """
    dtype = np.dtype(np.uint16 if vocabulary.size <= 2**16 else np.int32)
    end = texts = 0
    digests = array("Q")
    with (directory / IDS_FILE).open("wb") as file, (directory / OFFSETS_FILE).open("wb") as offsets:
        offsets.write(np.int64(end).tobytes())
        for columns, target_columns, marks, usable in rows:
            texts = len(columns)
            together = [text for row in zip(*columns, strict=True) for text in row]
            if evidence is None:
                encoded = (ids or vocabulary.ids)(together)
            else:
                encoded, spans = map(list, zip(*vocabulary.ids_and_spans(together), strict=True))
                append_evidence(directory, np.concatenate(evidence.on_tokens(marks, together, spans)))
            file.write(np.fromiter(chain.from_iterable(encoded), dtype).tobytes())
            ends = end + np.cumsum(list(map(len, encoded)), dtype=np.int64)
            offsets.write(ends.tobytes())
            end = int(ends[-1])
            targets.add_rows(len(columns[0]), target_columns, usable)
            raw = (
                [part.encode("utf-8", "surrogatepass") for part in _parts(row)] for row in zip(*columns, strict=True)
            )
            digests.extend(map(digest, raw))
    save_store(directory, targets.finish(), digests, dtype=dtype.name, texts=texts)


def _parts(row: Iterable[Any]) -> Iterator[str]:
    """The texts of a row, each of which may come as a list of words."""
    for text in row:
        yield from [text] if isinstance(text, str) else [*text, ""]
