"""The kind of data, columns, splits, task and command that attnpred finds for a source by itself."""

import re
import shlex
from dataclasses import dataclass, replace
from typing import Any

from attnpred.config import compose
from attnpred.config.options import Config, DataConfig
from attnpred.data import columns
from attnpred.data.open_source import open_source
from attnpred.errors import UserError
from attnpred.files import path_of

USUAL_MODELS = ("resnet_attention", "transformer")  # proposed before others, since they need no weights
MANY = 20  # different whole numbers among some rows, from which on they are amounts and no classes
TASKS = {"class": "classification", "number": "regression", "labels": "multilabel"}  # kind of target → task


@dataclass(frozen=True)
class Understood:
    """`config` has every column and split settled that can be told; `question` asks for what cannot."""

    config: Config
    command: str
    question: str | None


def understand(words: list[str], config_dir: str | None = None) -> Understood:
    """From what the user typed: a source or a shipped dataset's name, and overrides."""
    sources = [word for word in words if "=" not in word or path_of(word).exists()]
    overrides = [word for word in words if word not in sources]
    if len(sources) > 1:
        raise UserError(f"{' '.join(sources)}: name one source; quote a pattern, as in 'part-*.csv'")
    keys = {word.partition("=")[0] for word in overrides}
    if sources:
        overrides = [*_named(sources[0], "data" in keys, config_dir), *overrides]
        keys = {word.partition("=")[0] for word in overrides}
    if "data" not in keys:
        overrides = [f"data={_kind(overrides, config_dir)}", *overrides]
    asked = "task" in keys
    config = _composed(overrides, config_dir)
    found, question = _settled(config)
    if not asked and question is None and (task := TASKS[_kind_of_target(found)]) != "classification":
        overrides.append(f"task={task}")
        config = _composed(overrides, config_dir)
        found, question = _settled(config)
    model = compose.file_of(config.model._target_)
    shown = [f"model={model}", *(word for word in overrides if not word.startswith("model="))]
    command = " ".join(map(shlex.quote, ["attnpred", "train", *shown]))
    return Understood(replace(config, data=found), command, question)


def quoted(text: str) -> str:
    """A value as an override holds it, whatever it consists of."""
    return text if re.fullmatch(r"[\w./~-]+", text) else "'" + text.replace("'", "\\'") + "'"


def _named(source: str, chosen: bool, config_dir: str | None) -> list[str]:
    """The overrides that a source stands for: a dataset's file where it has that name and is no path."""
    if not chosen and not path_of(source).exists() and source in compose.group_options("data", config_dir):
        return [f"data={source}"]
    return [f"data.source={quoted(source)}"]


def _kind(overrides: list[str], config_dir: str | None) -> str:
    """The dataset's file that reads what the first rows hold."""
    config = _composed(["data=texts", *(word for word in overrides if word.startswith("data."))], config_dir, {"image"})
    some = open_source(config.data).sample(config.data.train_split, "data.train_split", columns.ROWS)
    if columns.words_in(some) is not None and columns.tags_in(some) is not None:
        return "tags"
    return "texts" if columns.image_in(some) is None or columns.text_in(some) is not None else "images"


def _composed(overrides: list[str], config_dir: str | None, without: set[str] = frozenset()) -> Config:  # type: ignore[assignment]
    """With a model that goes together with the rest, where none is named."""
    keys = {word.partition("=")[0] for word in overrides}
    if "model" in keys or "experiment" in keys:
        return compose.compose(overrides, config_dir)
    data = next((word.partition("=")[2] for word in overrides if word.startswith("data=")), "")
    named = next((word.partition("=")[2] for word in overrides if word.startswith("task=")), None)
    tasks = [named] if named else ["classification", *compose.group_options("task", config_dir)]
    known = compose.group_options("model", config_dir)
    ordered = [*(name for name in USUAL_MODELS if name in known), *known]
    pairs = ((name, task) for task in tasks for name in ordered)  # a dataset of no classes brings its own task
    model = next((name for name, task in pairs if compose.fitting(name, data, task, config_dir)), None)
    return compose.compose([*([f"model={model}"] if model else []), *overrides], config_dir)


def _settled(config: Config) -> tuple[DataConfig, str | None]:
    data = config.data
    try:
        for reads in config.task.kinds():
            data = columns.settled(data, reads)
        return data, None
    except UserError as error:
        if not re.match(r"data\.[\w.]+: which column", str(error)):
            raise
        return data, str(error)


def _kind_of_target(data: DataConfig) -> str:
    """class, number or labels, by the first rows' targets; a dataset that lists kinds of its own has a class."""
    if data.targets is not None:
        return "class"
    names, _ = data.target_columns("class") or ([], "")
    source = open_source(data)
    some = source.sample(data.train_split, "data.train_split", columns.ROWS)
    if len(names) != 1 or names[0] not in some or source.class_names(data.train_split, "data.train_split", names[0]):
        return "class"
    values = [value for value in some[names[0]] if value is not None]
    if values and all(isinstance(value, list) for value in values):
        return "labels" if not all(isinstance(one, float) for value in values for one in value) else "number"
    if values and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        broken = any(isinstance(value, float) and not value.is_integer() for value in values)
        return "number" if broken or len(set(values)) > MANY else "class"
    return "class"


def inputs_of(data: DataConfig) -> list[str]:
    """The columns of inputs that are named."""
    found: list[Any] = []
    for name in columns.INPUTS:
        one = getattr(data, name, None)
        found += [one] if isinstance(one, str) else list(one or [])
    return found
