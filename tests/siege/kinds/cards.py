"""A dataset's words on itself: the head of its card, and its Parquet's metadata for the library `datasets`."""

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from attnpred.data.open_source import open_source
from tests.data.made import text_config
from tests.siege import case, odd
from tests.siege.case import Case, Edit
from tests.siege.oracle import by_call

WEIGHT, BASES, PROGRAMS, CODES, OPEN = 4, (), (), (), ()
CARD, TABLE = "theirs/README.md", "theirs/train.parquet"
ROWS = "text,label\n" + "".join(f"a{i},{i % 2}\n" for i in range(12))
COLUMNS = {"text": [f"a{i}" for i in range(12)], "label": [0, 1] * 6}
FEATURES = [
    {"name": "text", "dtype": "string"},
    {"name": "label", "dtype": {"class_label": {"names": {"0": "bad", "1": "good"}}}},
]
HEAD = {
    "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train.*"}], "default": True}],
    "dataset_info": {"features": FEATURES, "splits": [{"name": "train", "num_bytes": 9, "num_examples": 12}]},
    "license": "mit",
    "tags": ["a"],
}
SAID = {
    "info": {
        "features": {
            "text": {"dtype": "string", "_type": "Value"},
            "label": {"names": ["bad", "good"], "_type": "ClassLabel"},
        },
        "splits": {"train": {"name": "train", "num_examples": 12}},
    }
}
PATHS = ("train.csv", "../outside/secret.csv", "{outside}/secret.csv", "**", "*", "http://127.0.0.1:1/a.csv", "", ".")


def _read(place: Path, case: Case) -> None:
    source = open_source(text_config(place / "theirs", place / "cache"))
    for name in source.splits():
        source.class_names(name, "data.train_split", "label")
        columns = {"data.text_column": "text", "data.label_column": "label"}
        for _ in source.chunks(name, "data.train_split", columns, 10):
            pass


ACTIONS = {"read": by_call(_read)}
UNTOUCHED = frozenset(ACTIONS)
NEEDS = ("datasets", "pandas", "pyarrow.csv", "pyarrow.json", "pyarrow.parquet", "pyarrow.dataset")
GUIDED = {
    "card": (
        lambda text: Case("cards", "read", (_rows(), ["write", CARD, f"---\n{text}\n---\n"])),
        lambda bases: _dumped(HEAD),
    )
}


def _rows() -> Edit:
    return ["write", "theirs/train.csv", ROWS]


def _changed(document: Any, changes: list[Edit]) -> Any:
    """The document with some of these edits done, which are of files otherwise."""
    found = copy.deepcopy(document)
    for what, _, path, *value in changes:
        try:
            case._change(found, path, what, *(value or [None]))
        except (LookupError, TypeError):
            continue
    return found


def _dumped(value: Any) -> str:
    try:
        return yaml.safe_dump(value)
    except (yaml.YAMLError, UnicodeError, RecursionError):
        return json.dumps(value)


def _texts(document: Any, dump: Any) -> st.SearchStrategy[str]:
    several = st.lists(odd.changes("", document), min_size=1, max_size=2)
    return several.map(lambda some: dump(_changed(document, some)))


def cases(bases: Path) -> st.SearchStrategy[Case]:
    heads = st.one_of(_texts(HEAD, _dumped), _texts(HEAD, _dumped), odd.contents, st.sampled_from(PATHS).map(_naming))
    cards = heads.map(lambda head: (_rows(), ["write", CARD, f"---\n{head}\n---\n"]))
    spliced = odd.splices(CARD).map(lambda edit: (_rows(), ["write", CARD, f"---\n{_dumped(HEAD)}---\n"], edit))
    other = odd.contents.map(lambda text: (_rows(), ["write", "theirs/.huggingface.yaml", text]))
    said = (_texts(SAID, json.dumps) | odd.contents).map(lambda text: (["table", TABLE, COLUMNS, text],))
    both = st.tuples(heads, _texts(SAID, json.dumps)).map(
        lambda found: (["write", CARD, f"---\n{found[0]}\n---\n"], ["table", TABLE, COLUMNS, found[1]])
    )
    return st.one_of(cards, cards, spliced, other, said, said, both).map(lambda edits: Case("cards", "read", edits))


def _naming(path: str) -> str:
    return _dumped({"configs": [{"config_name": "default", "data_files": [{"split": "train", "path": path}]}]})
