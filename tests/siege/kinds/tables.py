"""Tables of a stranger: CSV, TSV, JSON lines and Parquet, as a file, in a directory, packed, in any encoding."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from attnpred.data.class_target import ClassTarget
from attnpred.data.columns import settled
from attnpred.data.labels_target import LabelsTarget
from attnpred.data.number_target import NumberTarget
from attnpred.data.open_source import open_source
from attnpred.modalities.text.data import TextData
from tests.data.made import text_config
from tests.siege import odd
from tests.siege.case import Case, Edit, packed
from tests.siege.oracle import by_call

WEIGHT, BASES, PROGRAMS, CODES, OPEN = 5, (), (), (), ()
COUNT = 24  # rows
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "cp037")
TARGETS = {"class": ClassTarget, "number": NumberTarget, "labels": LabelsTarget}


def _config(place: Path, **changes: Any) -> Any:
    source = next((place / "theirs").glob("*"), place)
    return text_config(source, place.parent / "scratch" / "cache", test_split=None, **changes)


def _look(place: Path, case: Case) -> None:
    """Which columns are meant, and all rows of them."""
    config = settled(_config(place, text_column=None, label_column=None), "class")
    for _ in open_source(config).chunks("train", "data.train_split", {"data.text_column": config.text_column}, 10):
        pass


def _learn(place: Path, case: Case) -> None:
    """As training does: a tokenizer, prepared rows, and batches."""
    from shutil import rmtree

    kind, how = case.arguments
    config = _config(place, on_bad_row=how)
    try:
        target = TARGETS[kind](*config.target_columns(kind))
        for batch in TextData(config, target).loader("train", seed=0):
            assert len(batch.ids)
    finally:
        rmtree(place.parent / "scratch" / "cache", ignore_errors=True)


ACTIONS = {"look": by_call(_look), "learn": by_call(_learn)}
UNTOUCHED = frozenset(ACTIONS)
NEEDS = ("datasets", "pandas", "pyarrow.csv", "pyarrow.json", "pyarrow.parquet", "pyarrow.dataset", "tokenizers")
GUIDED = {
    "csv": (
        lambda text: Case("tables", "look", (["write", "theirs/t.csv", text],)),
        lambda bases: 'text,label\na film,0\n"b, film",1\n',
    ),
    "jsonl": (
        lambda text: Case("tables", "look", (["write", "theirs/t.jsonl", text],)),
        lambda bases: '{"text": "a film", "label": 0}\n{"text": "b", "label": 1}\n',
    ),
}

cells = st.one_of(
    st.sampled_from(odd.TEXTS), st.text(max_size=12), st.integers(-3, 3).map(str), st.just(""), st.just("good")
)
names = st.one_of(st.just("text"), st.just("label"), st.just("text"), st.just("label"), st.sampled_from(odd.TEXTS))


@st.composite
def _rows(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    """Mostly good rows, of which few cells are odd, so that what reads them gets far."""
    head = ["text", "label", *draw(st.lists(names, max_size=2))]
    if draw(st.booleans()):
        head[draw(st.integers(0, len(head) - 1))] = draw(names)
    rows: list[list[Any]] = [[f"a film {i}", str(i % 2), *["x"] * (len(head) - 2)] for i in range(COUNT)]
    for _ in range(draw(st.integers(0, 4))):
        row = rows[draw(st.integers(0, COUNT - 1))]
        row[draw(st.integers(0, len(row) - 1))] = draw(cells)
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, 1))
        value = draw(cells)
        for row in rows:
            row[place] = value  # a whole column
    return head, rows[: draw(st.sampled_from([COUNT, COUNT, COUNT, 0, 1, 2]))]


@st.composite
def _lines(draw: st.DrawFn) -> bytes:
    """CSV or TSV, of any dialect and encoding."""
    head, rows = draw(_rows())
    held = io.StringIO()
    sign, quotes = (
        draw(st.sampled_from([",", ",", "\t", ";"])),
        draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    csv.writer(held, delimiter=sign, quoting=quotes, lineterminator=ending).writerows([head, *rows])
    return held.getvalue().encode(draw(st.sampled_from(ENCODINGS)), "replace")


@st.composite
def _objects(draw: st.DrawFn) -> bytes:
    """JSON lines, in which values may be of any type, and keys be there or not."""
    head, rows = draw(_rows())
    objects: list[Any] = [dict(zip(head, [row[0], int(i % 2), *row[2:]], strict=True)) for i, row in enumerate(rows)]
    for _ in range(draw(st.integers(0, 3)) if objects else 0):
        one = objects[draw(st.integers(0, len(objects) - 1))]
        if isinstance(one, dict):
            one[draw(names)] = draw(odd.values)
    if objects and draw(st.integers(0, 4)) == 0:
        objects[draw(st.integers(0, len(objects) - 1))] = draw(odd.values)
    text = "\n".join(json.dumps(one, ensure_ascii=draw(st.booleans())) for one in objects)
    if draw(st.booleans()):
        return text.encode("utf-8", "surrogatepass")
    return text.encode(draw(st.sampled_from(ENCODINGS)), "replace")


@st.composite
def _parquet(draw: st.DrawFn) -> Edit:
    count = draw(st.sampled_from([COUNT, COUNT, 1, 0]))
    columns: dict[str, Any] = {"text": [f"a film {i}" for i in range(count)], "label": [i % 2 for i in range(count)]}
    plain = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=5))
    several = st.sampled_from(
        [plain, st.lists(st.text(max_size=3), max_size=2), st.just({"$bytes": packed(b"\xff\0")})]
    )
    if draw(st.booleans()):
        one = draw(draw(several))
        columns[draw(names)] = [one] * count
    if draw(st.booleans()):
        kind = draw(st.sampled_from([st.floats(), st.integers(-5, 2**40), st.text(max_size=4), st.booleans()]))
        columns[draw(st.sampled_from(["text", "label"]))] = draw(
            st.lists(kind | st.none(), min_size=count, max_size=count)
        )
    return ["table", "theirs/t.parquet", columns, None]


@st.composite
def _files(draw: st.DrawFn) -> tuple[Edit, ...]:
    suffix = draw(st.sampled_from(SUFFIXES))
    inside = draw(st.sampled_from(["", "", "theirs/"]))  # a directory that holds the file
    name = f"theirs/{inside}t{suffix}"
    if suffix == ".parquet":
        whole = draw(_parquet())
        whole[1] = name
        spoilt = draw(st.lists(odd.splices(name), max_size=2)) if draw(st.booleans()) else []
        return (whole, *spoilt)
    content = draw(_objects() if "js" in suffix else _lines())
    if inside and draw(st.booleans()):
        name, content = f"{name}.gz", gzip.compress(content, mtime=0)
    if draw(st.integers(0, 3)) == 0:
        return (["bytes", name, packed(content)], draw(odd.splices(name)))
    if draw(st.integers(0, 19)) == 0:
        return (draw(odd.rewritten(name)),)
    return (["bytes", name, packed(content)],)


def cases(bases: Path) -> st.SearchStrategy[Case]:
    how = st.tuples(st.sampled_from(list(TARGETS)), st.sampled_from(["fail", "skip"]))
    looks = _files().map(lambda edits: Case("tables", "look", edits))
    learns = st.tuples(_files(), how).map(lambda found: Case("tables", "learn", found[0], arguments=found[1]))
    return st.one_of(looks, learns, learns)
