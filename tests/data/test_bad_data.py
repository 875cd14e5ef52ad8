"""Data that cannot be used as it is: refused with row and file named, or handled as docs/data.md says."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnpred.errors import UserError
from tests.data.made import (
    image_config,
    image_data,
    image_rows,
    make_image_source,
    make_text_source,
    png,
    text_config,
    text_data,
    text_rows,
)

FILE = "plain_text/train-00000-of-00001.parquet"
BAD = 7  # row


class Case(NamedTuple):
    spoil: Callable[[Path], None] | None  # what is done to a source
    said: str | None  # stands in the one line; None: it is handled
    skips: bool = False  # with data.on_bad_row=skip it is
    options: dict = {}  # noqa: RUF012


def column(name: str, value, row: int = BAD) -> Callable[[Path], None]:
    """Puts another value into a row."""

    def spoil(source: Path) -> None:
        table = pq.read_table(source / FILE)
        place, kind = table.schema.get_field_index(name), table.schema.field(name).type
        values = table[name].to_pylist()
        values[row] = value
        made = pa.array([v.encode() if isinstance(v, str) else v for v in values]) if name == "text" else None
        if made is not None:  # strings may be any bytes, if nobody looks
            made = pa.Array.from_buffers(pa.string(), len(made), made.buffers(), made.null_count)
        pq.write_table(
            table.set_column(place, name, made if made is not None else pa.array(values, kind)), source / FILE
        )

    return spoil


def all_of_one_class(source: Path) -> None:
    table = pq.read_table(source / FILE)
    labels = pa.array([1] * len(table), table.schema.field("label").type)
    pq.write_table(table.set_column(1, "label", labels), source / FILE)


def of_several_files(source: Path) -> None:
    """The bad row is the third of the second file."""
    column("label", None)(source)
    table = pq.read_table(source / FILE)
    pq.write_table(table.slice(0, 5), source / FILE)
    pq.write_table(table.slice(5), source / "plain_text/train-00001-of-00001.parquet")


def without_file(source: Path) -> None:
    (source / FILE).unlink()


def as_csv(encoding: str) -> Callable[[Path], None]:
    def spoil(source: Path) -> None:
        for path in [*source.rglob("*.parquet"), source / "README.md"]:
            path.unlink()
        for split, count in (("train", 30), ("test", 10)):
            lines = ["text,label", *(f"{text} café,{label}" for text, label in zip(*text_rows(count), strict=True))]
            (source / f"{split}.csv").write_bytes("\n".join(lines).encode(encoding))

    return spoil


def image(value: np.ndarray) -> dict:
    return {"bytes": png(value), "path": None}


def with_nan() -> dict:
    from PIL import Image

    file, pixels = io.BytesIO(), np.zeros((8, 8), np.float32)
    pixels[2, 3] = np.nan
    Image.fromarray(pixels).save(file, "tiff")
    return {"bytes": file.getvalue(), "path": None}


ROW = f"row {BAD} of data.train_split=train"
SPLIT = f"data.train_split=train: row {BAD}"
TEXTS = {
    "as it should be": Case(None, None),
    "no file": Case(without_file, "data.source="),
    "no column": Case(None, "data.text_column=review: ", options={"text_column": "review"}),
    "no split": Case(None, "data.train_split=training: ", options={"train_split": "training"}),
    "an empty text": Case(column("text", ""), None, skips=True),
    "no text": Case(column("text", None), f"{ROW} has no text; mend it, or set data.on_bad_row=skip (in {FILE})", True),
    "no UTF-8": Case(column("text", b"caf\xe9 \xff"), f"{ROW} is no text in UTF-8", True),
    "a file that is no UTF-8": Case(as_csv("latin-1"), "line 2 of t"),
    "a file that is": Case(as_csv("utf-8"), None),
    "no label": Case(column("label", None), f"{SPLIT} has no label (-1); choose", True),
    "a label below": Case(column("label", -1), f"{SPLIT} has no label (-1); choose", True),
    "a label beyond": Case(column("label", 2), f"{SPLIT} has label 2, outside 0 to 1", True),
    "several files": Case(of_several_files, "(in plain_text/train-00001-of-00001.parquet)", True),
    "one class": Case(all_of_one_class, "data.train_split=train: every row has the label good, from which"),
    "fewer rows than a batch": Case(None, None, options={"batch_size": 1000}),
    "fewer rows than can be carved": Case(
        None, "data.val_fraction=0.001: carves 0 of the 30", options={"val_fraction": 0.001}
    ),
}
IMAGES = {
    "as it should be": Case(None, None),
    "no image": Case(column("img", None), f"{ROW} cannot be decoded: is no image", True),
    "rubbish": Case(column("img", {"bytes": b"\x89PNG rubbish", "path": None}), f"{ROW} cannot be decoded", True),
    "half an image": Case(
        column("img", {"bytes": png(image_rows(1)[0][0])[:60], "path": None}), f"{ROW} cannot be decoded", True
    ),
    "another size": Case(column("img", image(np.zeros((9, 8, 3), np.uint8))), f"{ROW} is 9 × 8 RGB, row 0 is", True),
    "another mode": Case(column("img", image(np.zeros((8, 8), np.uint8))), f"{ROW} is 8 × 8 grey, row 0 is", True),
    "pixels that are NaN": Case(column("img", with_nan()), f"{ROW} cannot be decoded: has pixels that are", True),
    "no label": Case(column("label", None), f"{SPLIT} has no label", True),
    "a label beyond": Case(column("label", 9), f"{SPLIT} has label 9, outside 0 to 1", True),
    "one class": Case(all_of_one_class, "every row has the label good"),
    "fewer rows than a batch": Case(None, None, options={"batch_size": 1000}),
}
CASES = [("text", name) for name in TEXTS] + [("image", name) for name in IMAGES]


@pytest.mark.parametrize("skip", [False, True], ids=["fail", "skip"])
@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda value: value.replace(" ", "-"))
def test_it_is_refused_or_handled(kind, name, skip, tmp_path, capfd):
    case = (TEXTS if kind == "text" else IMAGES)[name]
    make, config, data = (
        (make_text_source, text_config, text_data) if kind == "text" else (make_image_source, image_config, image_data)
    )
    source = make(tmp_path / "source", {"train": 30, "test": 10})
    if case.spoil is not None:
        case.spoil(source)
    options = config(source, tmp_path / "cache", on_bad_row="skip" if skip else "fail", **case.options)

    def read():
        found = data(options)
        return [int(row) for split in ("train", "val") for batch in found.loader(split) for row in batch.ids]

    if case.said is not None and not (skip and case.skips):
        with pytest.raises(UserError) as refused:
            read()
        assert case.said in str(refused.value)
        assert ("(in plain_text/train-0000" in str(refused.value)) == case.skips  # a single row is at fault
        assert "\n" not in str(refused.value)
        assert not [path for path in tmp_path.rglob("*") if ".part-" in path.name]
        return
    rows = read()
    assert rows
    assert (BAD in rows) != (skip and case.skips)
    assert (": skips 1 of 30 rows" in capfd.readouterr().err) == (skip and case.skips)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_rows_none_at_all(kind, tmp_path):
    make, config, data = (
        (make_text_source, text_config, text_data) if kind == "text" else (make_image_source, image_config, image_data)
    )
    some = text_rows(30) if kind == "text" else image_rows(30)
    source = make(tmp_path / "source", rows={"train": some, "test": ([], [])})
    with pytest.raises(UserError, match=r"data\.test_split=test: .* has no rows"):
        data(config(source, tmp_path / "cache")).loader("test")


def test_a_text_source_of_bad_rows_alone(tmp_path):
    """Told before a tokenizer is learned of them."""
    source = make_text_source(tmp_path / "source", rows={"train": ([""] * 30, [0, 1] * 15)})
    with pytest.raises(UserError, match=r"data\.train_split=train: every row is bad"):
        text_data(text_config(source, tmp_path / "cache", on_bad_row="skip")).loader("train")


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_source_of_other_classes_than_the_models(kind, tmp_path):
    make, config, data = (
        (make_text_source, text_config, text_data) if kind == "text" else (make_image_source, image_config, image_data)
    )
    trained = data(config(make(tmp_path / "own", {"train": 30, "test": 10}), tmp_path / "cache"))
    known = {"reader": trained.reader, "target_spec": trained.target_spec}
    other = make(tmp_path / "other", {"train": 30, "test": 10}, classes=("bad", "fair", "good"))
    with pytest.raises(UserError, match=r"data\.test_split=test: its classes are bad, fair, good, the model's are bad"):
        data(config(other, tmp_path / "cache"), **known).loader("test")
    one = make(tmp_path / "one", {"train": 30, "test": 10}, classes=("good", "bad"))
    translated = data(config(one, tmp_path / "cache"), reader=trained.reader, target_spec=trained.target_spec).loader(
        "test"
    )
    raw = pq.read_table(one / "plain_text/test-00000-of-00001.parquet")["label"].to_pylist()
    for batch in translated:
        assert batch.targets["label"].tolist() == [1 - raw[row] for row in batch.ids.tolist()]
