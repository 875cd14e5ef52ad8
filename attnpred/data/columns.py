"""Which columns of a source hold the text and the target, where the user did not say: by their names and content."""

from dataclasses import replace
from typing import Any

from attnpred.config.options import DataConfig
from attnpred.console.say import say
from attnpred.data.open_source import open_source
from attnpred.errors import UserError

TEXTS = ("text", "review", "sentence", "content", "body", "document", "comment", "message", "question")
TARGETS = ("label", "labels", "target", "class", "category", "sentiment", "rating", "stars", "score", "tags", "y")
WORDS_COLUMNS = ("tokens", "words", "token", "word")
TAGS = ("tags", "ner_tags", "ner", "labels", "label", "target")
TEXT, LABEL = "data.text_column", "data.label_column"
ROWS = 200  # looked at
WORDS = 3  # a column with more of them, on average, is one of texts
SAMPLES, LONGEST = 3, 24  # values that a question shows of each column, and their characters


def settled(config: DataConfig, reads: str) -> DataConfig:
    """The same options with every column named that a task needs, which `reads` such a target.

    Raises UserError, with what there is, where it cannot be told.
    """
    targets, option = config.target_columns(reads) or ([], LABEL)
    open_ones = [TEXT] if getattr(config, "text_column", "") is None else []
    open_ones += [] if targets else [option]
    if not open_ones:
        return config
    columns = open_source(config).sample(config.train_split, "data.train_split", ROWS)
    words = config.modality == "words"
    found: dict[str, str] = {}
    for one in open_ones:
        text = found.get(TEXT, getattr(config, "text_column", None))
        taken = [*([text] if isinstance(text, str) else list(text or [])), *targets]
        rest = {column: values for column, values in columns.items() if column not in taken}
        if one == TEXT:
            column = _words_in(rest) if words else _text(rest)
        else:
            column = _tags(rest) if reads == "tags" else _only(rest, TARGETS)
        if column is None:
            raise UserError(_question(one, config, rest))
        found[one] = column
    told = ", ".join(f"{name}={column}" for name, column in found.items())
    say(f"columns of {config.source}: {told}")
    changes: dict[str, Any] = {name.removeprefix("data."): column for name, column in found.items()}
    if (kind := changes.pop(f"targets.{reads}", None)) is not None:
        changes["targets"] = {**(config.targets or {}), reads: kind}
    return replace(config, **changes)


def _words_in(columns: dict[str, list[Any]]) -> str | None:
    """The column of lists of words: the one that is called so, else the only one of lists of texts."""
    lists = {name: values for name, values in columns.items() if _are_lists(values, str)}
    return _only(lists, WORDS_COLUMNS)


def _tags(columns: dict[str, list[Any]]) -> str | None:
    """The column of lists of tags, which may be numbers."""
    return _only({name: values for name, values in columns.items() if _are_lists(values, str | int)}, TAGS)


def _are_lists(values: list[Any], kind: Any) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(v, list) and all(isinstance(one, kind) for one in v) for v in given)


def _text(columns: dict[str, list[Any]]) -> str | None:
    """The column of texts: the one that is called so, else the only one whose values have several words."""
    strings = {name: values for name, values in columns.items() if _are_texts(values)}
    known = [name for name in strings if name.lower() in TEXTS]
    if len(known) == 1:
        return known[0]
    long = [name for name, values in strings.items() if _words(values) > WORDS]
    return long[0] if len(long) == 1 else None


def _only(columns: dict[str, list[Any]], names: tuple[str, ...]) -> str | None:
    """The column of one of these names, else the only one that there is."""
    known = [name for name in columns if name.lower() in names]
    chosen = known if known else list(columns)
    return chosen[0] if len(chosen) == 1 else None


def _are_texts(values: list[Any]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, str) for value in given)


def _words(values: list[Any]) -> float:
    given = [len(value.split()) for value in values if value is not None]
    return sum(given) / len(given)


def _question(option: str, config: DataConfig, columns: dict[str, list[Any]]) -> str:
    what = "the target" if option != TEXT else "the words" if config.modality == "words" else "the text"
    shown = []
    for column, values in columns.items():
        samples = ", ".join(_short(value) for value in values[:SAMPLES])
        shown.append(f"{column} ({samples})")
    return f"{option}: which column of {config.source} holds {what}? There is {'; '.join(shown)}. Set {option}=NAME"


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
