"""Damaged data and impossible names are answered in one line, whatever type the library raises."""

import gzip
import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnpred.data.open_source import open_source
from attnpred.errors import UserError
from tests.data.made import text_config

ROWS = "text,label\n" + "".join(f"a{i},{i % 2}\n" for i in range(20))
COLUMNS = {"data.text_column": "text", "data.label_column": "label"}


def read(source, tmp_path):
    opened = open_source(text_config(source, tmp_path / "cache"))
    opened.class_names("train", "data.train_split", "label")
    return list(opened.chunks("train", "data.train_split", COLUMNS, 10))


def answer(source, tmp_path) -> str:
    with pytest.raises(UserError) as caught:
        read(source, tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


@pytest.mark.parametrize(
    "head",
    [
        "configs: 3",
        "configs: [3]",
        "configs: [{config_name: [1], data_files: 3}]",
        "[broken: {",
        "dataset_info: 7",
        "dataset_info: [1]",
        "dataset_info: {features: 3}",
        "dataset_info: {features: [{name: [a], dtype: 5}]}",
        "dataset_info: {features: [{name: label, dtype: {class_label: {names: 3}}}]}",
        "dataset_info: {splits: 3}",
        "- a",
        "3",
        "configs: [{config_name: a, data_files: [{split: 3, path: 4}]}]",
        "configs: [{config_name: a, data_files: train.csv, sep: [1]}]",
        "license: !!python/object/apply:os.system [id]",
        "a: " + "[" * 3000,
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        b"\xff\xfe",
    ],
)
def test_a_card_of_odd_types(head, tmp_path):
    source = tmp_path / "theirs"
    source.mkdir()
    (source / "train.csv").write_text(ROWS)
    (source / "README.md").write_bytes(b"---\n" + (head if isinstance(head, bytes) else head.encode()) + b"\n---\n")
    assert str(source) in answer(source, tmp_path)


@pytest.mark.parametrize("text", ["", "# A dataset\n", "---\nlicense: mit\n---\n", "---\nconfigs: []\n---\n# It\n"])
def test_a_card_as_cards_are(text, tmp_path):
    source = tmp_path / "theirs"
    source.mkdir()
    (source / "train.csv").write_text(ROWS)
    (source / "README.md").write_text(text)
    assert len(read(source, tmp_path)) == 2


FEATURES = {"text": {"_type": "Value", "dtype": "string"}}


@pytest.mark.parametrize(
    "said",
    [
        b"3",
        b"{",
        b"\xff",
        {"info": 3},
        {"info": {"features": 3}},
        {"info": {"features": {"text": 3, "label": 4}}},
        {"info": {"features": {"text": {"_type": "Nope"}}}},
        {"info": {"features": {**FEATURES, "label": {"names": 3, "_type": "ClassLabel"}}}},
        {"info": {"features": {**FEATURES, "label": {"names": [3, None], "_type": "ClassLabel"}}}},
        {"info": {"features": {**FEATURES, "label": {"dtype": "os.system", "_type": "Value"}}}},
    ],
)
def test_metadata_of_odd_types(said, tmp_path):
    source = tmp_path / "theirs"
    source.mkdir()
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    table = pa.table({"text": ["a"] * 10, "label": [0, 1] * 5}).replace_schema_metadata({"huggingface": content})
    pq.write_table(table, source / "train.parquet")
    assert answer(source, tmp_path).startswith(f"data.source={source}: cannot be read: ")


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("train.csv", ROWS)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["csv.gz", "zip"])
def test_broken_archives(kind, tmp_path):
    source = tmp_path / "theirs"
    source.mkdir()
    whole = gzip.compress(ROWS.encode()) if kind == "csv.gz" else zipped()
    file = source / f"train.{kind}"
    file.write_bytes(whole)
    assert len(read(source, tmp_path)) == 2
    for spoilt in (whole[:-12], whole[:20] + b"xxxxxx" + whole[26:], b"", b"no archive", whole[:30]):
        file.write_bytes(spoilt)
        if spoilt[:20] + spoilt[26:] != whole[:20] + whole[26:] or kind != "zip":  # names of the inside of a zip
            assert answer(source, tmp_path).startswith(f"data.source={source}: ")


@pytest.mark.parametrize("name", ["a[b]", "a*", "a?b", "a::b", "a\nb", "]"])
def test_names_that_are_patterns(name, tmp_path):
    """`datasets` found nothing there, or the files of another directory."""
    source = tmp_path / name / "data"
    source.mkdir(parents=True)
    (source / "train.csv").write_text(ROWS)
    assert "rename" in answer(source, tmp_path)


@pytest.mark.parametrize("name", ["a b", "ä", "a#b", "a%20b", "a{b,c}", "a'b", "~", "a$b", "a:b", "a\\b"])
def test_names_that_are_none(name, tmp_path):
    source = tmp_path / name
    source.mkdir()
    (source / "train.csv").write_text(ROWS)
    assert len(read(source, tmp_path)) == 2


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", "/train.csv"])
def test_columns_without_end(suffix, tmp_path):
    names = [*COLUMNS.values(), *(f"c{i}" for i in range(10_000))]
    file = tmp_path / f"wide{suffix}"
    file.parent.mkdir(exist_ok=True)
    if suffix == ".jsonl":
        file.write_text(json.dumps(dict.fromkeys(names, 0)) + "\n")
    elif suffix == ".parquet":
        pq.write_table(pa.table({name: [0] for name in names}), file)
    else:
        sign = "\t" if suffix == ".tsv" else ","
        file.write_text(f"{sign.join(names)}\n{sign.join('0' for _ in names)}\n")
    source = file.parent if "/" in suffix else file
    assert "has 10,002 columns, more than 10,000; keep those of inputs and targets" in answer(source, tmp_path)


def test_a_wrong_column_does_not_list_thousands(tmp_path):
    file = tmp_path / "wide.csv"
    file.write_text(",".join(f"c{i}" for i in range(5000)) + "\n" + ",".join("0" * 5000) + "\n")
    assert "c19, … (5,000 in all)" in answer(file, tmp_path)


LONG, BYTES, NOBODY = "x" * 5000, "/tmp/\udcff", "~nobody_of_that_name"
BAD_PATHS = [
    (LONG, "too long"),
    ("/" + "x" * 300, "too long"),
    (BYTES, "is not UTF-8"),
    (NOBODY, "no such home"),
    ("a\nb", "line"),
]


@pytest.mark.parametrize(("path", "said"), BAD_PATHS, ids=["long", "long name", "bytes", "nobody", "line"])
@pytest.mark.parametrize("verb", ["evaluate", "predict", "explain", "resume", "runs", "compare", "prune", "config-dir"])
def test_paths_that_no_file_can_have(verb, path, said, refused):
    further = {"predict": ["a"], "prune": ["--keep", "best:1"]}.get(verb, [])
    command = ["train", "--config-dir", path] if verb == "config-dir" else [verb, path, *further]
    line = refused(*command)
    assert said in line
    assert len(line) < 400


@pytest.mark.parametrize("option", ["data.source", "output_dir", "data.cache_dir"])
@pytest.mark.parametrize(("path", "said"), BAD_PATHS[:4], ids=["long", "long name", "bytes", "nobody"])
def test_options_that_no_file_can_have(option, path, said, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = [
        "trainer.max_steps=1",
        "trainer.limit_batches=1",
        "logger=none",
        "model.width=8",
        "trainer.attention_examples=0",
    ]
    line = refused("train", *few, f"{option}='{path}'")
    assert f"{option}=" in line
    assert said in line
    assert len(line) < 400


def test_a_zero_byte_in_a_path(tmp_path):
    with pytest.raises(UserError, match="no path holds a zero byte"):
        open_source(text_config("/tmp/a\0b", tmp_path))
