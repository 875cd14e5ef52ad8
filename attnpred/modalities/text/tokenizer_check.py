"""A tokenizer from a stranger is tried before it is used: its rules can fill the memory, loop, or end the process."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attnpred.errors import UserError
from attnpred.machine.processes import guarded

LARGEST_FILE = 256 * 2**20  # bytes; those of known models take up to 35 MiB
MOST_GROWTH = 1024  # characters that one may become; known tokenizers stay below 100
UNICODE_GROWTH = 18.0  # the longest that a normal form makes of one character
LONGEST_PREFIX = 1024  # characters put before a text
MEMORY, FOR_EACH_CHARACTER = 2**30, 64  # bytes that a trial may take, and how many more the file's size allows
SECONDS = 20  # of computing, for a trial; most of it reads the file
KNOWN = {"BertNormalizer", "BertPreTokenizer", "Lowercase", "NFC", "Whitespace"}  # each of these alone does no harm
ADDED = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", "__type"}  # of an added token
TRIAL = Path(__file__).with_name("tokenizer_trial.py")


def check(text: str, place: str) -> None:
    """Raises the user's one line where the file's text is no tokenizer that can be used safely.

    `place` says where it comes from. Tokenizers with rules of their own are tried in a process with limits.
    """
    if len(text) > LARGEST_FILE:
        raise UserError(f"{place}: its tokenizer takes more than {LARGEST_FILE // 2**20} MiB; choose another")
    try:
        values = json.loads(text)
        check_added(values.get("added_tokens") or [], place)
        rules = list(_rules(values.get("normalizer")))
        growth, prefix = _growth(rules)
        steps = [*rules, *([values["pre_tokenizer"]] if values.get("pre_tokenizer") else [])]
        plain = all(step["type"] in KNOWN for step in steps)
        literals = [rule["pattern"].get("String") or "" for rule in rules if rule["type"] == "Replace"]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise UserError(f"{place}: no tokenizer can be read from there ({error}); restore the file") from None
    if growth > MOST_GROWTH or prefix > LONGEST_PREFIX:
        what = f"one character into up to {growth:.3g}" if growth > MOST_GROWTH else f"each text longer by {prefix:.3g}"
        raise UserError(f"{place}: its tokenizer makes {what}, which would fill the memory; choose another")
    if not plain:
        _try_out(text, literals, place)


def check_added(tokens: Iterable[dict[str, Any]], place: str) -> None:
    """The library prints the names of options that it does not know, and with them whatever a terminal obeys."""
    if odd := {key for token in tokens for key in token} - ADDED:
        raise UserError(f"{place}: its added tokens have options that are none ({min(odd)[:50]!r}); mend the file")


def _rules(normalizer: Any) -> Iterator[dict[str, Any]]:
    """The rules of a normalizer in the order in which they are applied."""
    if normalizer is not None and normalizer["type"] == "Sequence":
        for part in normalizer["normalizers"]:
            yield from _rules(part)
    elif normalizer is not None:
        yield normalizer


def _growth(rules: list[dict[str, Any]]) -> tuple[float, float]:
    """How many characters one may become by rules that follow one another, and how many are put before a text."""
    growth, form, before = 1.0, 1.0, 0.0
    for rule in rules:
        if rule["type"] == "Replace":
            content, literal = len(rule["content"]), rule["pattern"].get("String")
            # a regular expression may find nothing, between any two characters
            factor = 1.0 + content if literal is None else max(1.0, content / max(1, len(literal)))
            growth, before = growth * factor, before * factor
        elif rule["type"] == "Precompiled":
            form = max(form, _longest(base64.b64decode(rule["precompiled_charsmap"])))
        elif rule["type"] == "Prepend":
            before += len(rule["prepend"])
        else:
            form = max(form, UNICODE_GROWTH)  # none of Unicode's forms makes more of what another made
    return growth * form, before


def _longest(charsmap: bytes) -> float:
    """The longest replacement in a compiled table: a tree of so many bytes, then the texts, each ended by a zero."""
    size = int.from_bytes(charsmap[:4], "little")
    return float(max(map(len, charsmap[4 + size :].split(b"\0"))))


def _try_out(text: str, literals: list[str], place: str) -> None:
    """Reads the tokenizer and encodes some texts with it, in a process whose memory and time are bounded."""
    memory = MEMORY + FOR_EACH_CHARACTER * len(text)
    given = {"tokenizer": text, "literals": literals[:1000], "memory": memory, "seconds": SECONDS}
    quiet = {**os.environ, "RUST_BACKTRACE": "0", "TOKENIZERS_PARALLELISM": "false"}
    try:
        ended = subprocess.run(
            guarded([sys.executable, "-I", str(TRIAL)]),
            input=json.dumps(given).encode(),
            capture_output=True,
            timeout=10 * SECONDS,  # on a machine that does other work
            env=quiet,
            check=False,
        )
        code, said = ended.returncode, ended.stdout.decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        code, said = 1, ""
    if code == 0:
        return
    said = said or "it needs too much memory or time"
    raise UserError(f"{place}: no tokenizer can be read from there ({said[:300]}); choose another")


def is_panic(error: BaseException) -> bool:
    """True for what the tokenizers' library raises where its own code fails, which is no Exception."""
    return type(error).__name__ == "PanicException"


@contextmanager
def panics_told() -> Iterator[None]:
    """Turns what the tokenizers' library raises into the user's one line: plain exceptions, and panics.

    No `except Exception` catches a panic.
    """
    try:
        yield
    except BaseException as error:
        if not is_panic(error) and type(error) is not Exception:
            raise
        raise UserError(f"the tokenizer fails ({error}); choose a model with another tokenizer") from None
