"""Which columns and splits of a source play which part, where the user did not say: by their names and content."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from attnpred.config.data_options import AUTO, ITSELF
from attnpred.config.options import DataConfig
from attnpred.console.say import say
from attnpred.data.file_source import SPLITS
from attnpred.data.open_source import open_source
from attnpred.data.places import PICTURES
from attnpred.data.sources import Source
from attnpred.errors import UserError

TEXTS = ("text", "review", "sentence", "content", "body", "document", "comment", "message", "question")
IMAGES = ("image", "img", "picture", "photo", "pixels", "path", "file", "filename", "file_name", "image_path")
TARGETS = ("label", "labels", "target", "class", "category", "sentiment", "rating", "stars", "score", "tags", "y")
WORDS_COLUMNS = ("tokens", "words", "token", "word")
TAGS = ("tags", "ner_tags", "ner", "labels", "label", "target")
INPUTS = {"text_column": "the text", "image_column": "the image"}  # option of a dataset → what a question calls it
ROWS = 200  # looked at
WORDS = 3  # a column with more of them, on average, is one of texts
SAMPLES, LONGEST, MOST_SHOWN = 3, 24, 20  # values that a question shows of each column, their characters, and columns
Columns = dict[str, list[Any]]


def settled(config: DataConfig, reads: str | None) -> DataConfig:
    """The same options with every column and split named that a task needs, which `reads` such a target; None for none.

    Raises UserError, with what there is, where it cannot be told.
    """
    own = config.settled_by(
        lambda: open_source(config).sample(config.train_split, "data.train_split", ROWS), reads or ""
    )
    open_columns = [] if own is not None else _open_columns(config, reads)
    config = own or config
    if not open_columns and AUTO not in (config.val_split, config.test_split):
        return config
    source = open_source(config)
    found: dict[str, Any] = {}
    if open_columns:
        columns = source.sample(config.train_split, "data.train_split", ROWS)
        found = {name: column for name, column in find(config, reads, columns).items() if name in open_columns}
        for name in open_columns:
            if found.get(name) is None:
                raise UserError(_question(name, config, _rest(config, reads, columns, found)))
        say(f"columns of {config.source}: {_told(found)}")
    if found and not found.keys() <= {f.name for f in fields(config)}:  # a target of another kind than classes
        found["targets"] = {**(config.targets or {}), reads: found.pop(f"targets.{reads}")}
    return replace(config, **found, **_splits(config, source))


def find(config: DataConfig, reads: str | None, columns: Columns) -> dict[str, str | None]:
    """Option → column for what the options leave open, None where it cannot be told; `columns` are some rows'."""
    found: dict[str, str | None] = {}
    for name in _open_columns(config, reads):
        rest = _rest(config, reads, columns, found)
        find_one = {"text_column": text_in, "image_column": image_in}.get(name, target_in)
        if config.modality == "words":
            find_one = words_in if name == "text_column" else tags_in
        found[name] = find_one(rest)
    return found


def _open_columns(config: DataConfig, reads: str | None) -> list[str]:
    """The options that name no column yet, inputs first."""
    targets, option = (config.target_columns(reads) if reads else None) or ([], "data.label_column")
    inputs = [name for name in INPUTS if getattr(config, name, "") is None]
    return inputs + ([] if targets or reads in (ITSELF, None) else [option.removeprefix("data.")])


def _rest(config: DataConfig, reads: str | None, columns: Columns, found: Mapping[str, str | None]) -> Columns:
    """The columns that play no part yet."""
    targets, _ = (config.target_columns(reads) if reads else None) or ([], "")
    named = [getattr(config, name, None) for name in INPUTS]
    named += [config.split_column, config.group_column, config.time_column, config.evidence_column]
    taken = [*targets, *found.values()]
    for one in named:
        taken += [one] if isinstance(one, str) else list(one or [])
    return {column: values for column, values in columns.items() if column not in taken}


def _splits(config: DataConfig, source: Source) -> dict[str, Any]:
    """Names the source's own validation and test, where it is left open and it has them; None carves the part."""
    found: dict[str, Any] = {}
    names = {SPLITS.get(name.lower(), name): name for name in source.splits()}
    for option, split in (("val_split", "validation"), ("test_split", "test")):
        if getattr(config, option) == AUTO:
            found[option] = None if option == "val_split" and config.folds is not None else names.get(split)
    if any(found.values()):
        say(f"splits of {config.source}: {_told({name: own for name, own in found.items() if own})}")
    return found


def text_in(columns: Columns) -> str | None:
    """The column of texts: the one that is called so, else the only one whose values have several words."""
    strings = {name: values for name, values in columns.items() if _are_texts(values)}
    known = [name for name in strings if name.lower() in TEXTS]
    if len(known) == 1:
        return known[0]
    long = [name for name, values in strings.items() if _words(values) > WORDS]
    return long[0] if len(long) == 1 else None


def text_beside_others(columns: Columns) -> str | None:
    """Where a text is known to be among the columns: as `text_in`, else the only texts that are not called a target."""
    rest = [name for name, values in columns.items() if _are_texts(values) and name.lower() not in TARGETS]
    return text_in(columns) or (rest[0] if len(rest) == 1 else None)


def words_in(columns: Columns) -> str | None:
    """The column of lists of words: the one that is called so, else the only one of lists of texts."""
    return _only({name: values for name, values in columns.items() if _are_lists(values, str)}, WORDS_COLUMNS)


def tags_in(columns: Columns) -> str | None:
    """The column of lists of tags, which may be numbers."""
    return _only({name: values for name, values in columns.items() if _are_lists(values, str | int)}, TAGS)


def image_in(columns: Columns) -> str | None:
    """The column of pictures or of their paths: the only one, else the one whose name comes first among the usual."""
    pictures = {name.lower(): name for name, values in columns.items() if _are_pictures(values)}
    known = [pictures[name] for name in IMAGES if name in pictures]
    return next(iter(pictures.values())) if len(pictures) == 1 else next(iter(known), None)


def series_in(columns: Columns) -> str | None:
    """The only column of lists of numbers."""
    found = {name: values for name, values in columns.items() if _are_lists(values, int | float | list)}
    return next(iter(found)) if len(found) == 1 else None


def target_in(columns: Columns) -> str | None:
    """The column that is called like a target, else the only one that there is."""
    return _only(columns, TARGETS)


def _only(columns: Columns, usual: tuple[str, ...]) -> str | None:
    """The one column with a usual name, else the only column that there is."""
    known = [name for name in columns if name.lower() in usual]
    chosen = known if known else list(columns)
    return chosen[0] if len(chosen) == 1 else None


def _are_lists(values: list[Any], kind: Any) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(v, list) and all(isinstance(one, kind) for one in v) for v in given)


def _are_texts(values: list[Any]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, str) for value in given)


def _are_pictures(values: list[Any]) -> bool:
    given = [value.get("path") or value.get("bytes") if isinstance(value, dict) else value for value in values]
    given = [value for value in given if value is not None]
    return bool(given) and all(
        isinstance(value, bytes) or (isinstance(value, str) and value.lower().endswith(PICTURES)) for value in given
    )


def _words(values: list[Any]) -> float:
    given = [len(value.split()) for value in values if value is not None]
    return sum(given) / len(given)


def _told(found: Mapping[str, Any]) -> str:
    return ", ".join(f"data.{name}={value}" for name, value in found.items())


def _question(name: str, config: DataConfig, columns: Columns) -> str:
    shown = []
    for column, values in list(columns.items())[:MOST_SHOWN]:
        samples = ", ".join(_short(value) for value in values[:SAMPLES])
        shown.append(f"{column} ({samples})")
    rest = "; …" if len(columns) > MOST_SHOWN else ""
    what = INPUTS.get(name, "the target")
    if config.modality == "words" and name == "text_column":
        what = "the words"
    return (
        f"data.{name}: which column of {config.source} holds {what}? There is {'; '.join(shown) or 'none left'}{rest}. "
        f"Set data.{name}=NAME"
    )


def _short(value: Any) -> str:
    text = " ".join((repr(value) if isinstance(value, str) else str(value)).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
