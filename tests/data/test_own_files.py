"""One's own files beyond one table: packed, Arrow, patterns, split files, bad rows, folders, a split column."""

import gzip
import json

import pyarrow as pa
import pyarrow.feather
import pytest

from attnpred.config import compose
from attnpred.data import formats
from attnpred.data.open_source import open_source
from attnpred.errors import UserError
from tests.data.made import text_rows

TEXTS, LABELS = text_rows(30)
NAMES = ["good" if label else "bad" for label in LABELS]
CSV = "text,label\n" + "".join(f"{text},{name}\n" for text, name in zip(TEXTS, NAMES, strict=True))
COLUMNS = {"data.text_column": "text", "data.label_column": "label"}


def opened(source, *options):
    chosen = ["model=transformer", "data=texts", f"data.source='{source}'"]
    return open_source(compose.compose([*chosen, *options]).data)


def rows(source, split="train", columns=COLUMNS, size=7):
    found = [[] for _ in columns]
    for chunk in source.chunks(split, "data.train_split", columns, size):
        assert max(map(len, chunk)) <= size
        for column, values in zip(found, chunk, strict=True):
            column += values
    return found


def write(file):
    lines = "".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in zip(TEXTS, NAMES, strict=True))
    table = pa.table({"text": TEXTS, "label": NAMES})
    if file.name == "stream.arrow":
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=4)
    elif file.suffix in (".arrow", ".feather"):
        pa.feather.write_feather(table, str(file), compression="zstd" if file.suffix == ".feather" else "uncompressed")
    elif file.suffix == ".gz":
        file.write_bytes(gzip.compress((CSV.replace(",", "\t") if ".tsv" in file.name else CSV).encode()))
    elif file.suffix == ".zst":
        file.write_bytes(pa.compress(lines.encode(), codec="zstd", asbytes=True))
    return file


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv.gz", "a.jsonl.zst", "a.arrow", "stream.arrow", "a.feather"])
def test_every_further_format_holds_the_same_rows(name, tmp_path):
    assert rows(opened(write(tmp_path / name))) == [TEXTS, NAMES]


@pytest.mark.parametrize(("name", "ending"), [("a.parquet.gz", r"\.gz"), ("a.gz", r"\.gz"), ("a.csv.xz", r"\.xz")])
def test_what_is_packed_otherwise_is_told_what_is_read(name, ending, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"its name ends in {ending}; bring it into \.csv, .* packed as \.gz or \.zst"):
        opened(tmp_path / name)


def test_a_damaged_package_is_named_in_one_line(tmp_path):
    file = tmp_path / "a.csv.gz"
    file.write_bytes(gzip.compress(CSV.encode())[:40])
    with pytest.raises(UserError, match=rf"^data\.source={file}: cannot be read: ") as refused:
        rows(opened(file))
    assert "\n" not in str(refused.value)


def test_types_are_those_that_all_rows_fit_whichever_block_they_stand_in(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK", 64)
    values = [*range(100), "x"]
    lines = "".join(f"{value},{i / 2 if i > 90 else i},{'' if i % 2 else i},true\n" for i, value in enumerate(values))
    (tmp_path / "a.csv").write_text("mixed,number,gaps,yes\n" + lines)
    mixed, number, gaps, yes = rows(
        opened(tmp_path / "a.csv"), columns={c: c for c in ("mixed", "number", "gaps", "yes")}
    )
    assert mixed == [str(value) for value in values]
    assert number == [i / 2 if i > 90 else float(i) for i in range(101)]
    assert gaps == [None if i % 2 else i for i in range(101)]
    assert yes == [True] * 101


def test_types_agree_over_files(tmp_path):
    (tmp_path / "part-1.csv").write_text("text,label\none,1\n")
    (tmp_path / "part-2.csv").write_text("text,label\ntwo,b\n")
    assert rows(opened(tmp_path / "part-*.csv")) == [["one", "two"], ["1", "b"]]


def test_a_pattern_names_several_files_and_a_row_its_own(tmp_path):
    for i in range(3):
        (tmp_path / f"part-{i}.csv").write_text("text,label\n" + "".join(f"t{i}{j},x\n" for j in range(4)))
    source = opened(tmp_path / "part-*.csv")
    assert source.splits() == ["train"]
    assert rows(source)[0] == [f"t{i}{j}" for i in range(3) for j in range(4)]
    again = opened(tmp_path / "part-*.csv")
    assert [again.file_of("train", row) for row in (0, 3, 4, 11)] == [f"part-{i}.csv" for i in (0, 0, 1, 2)]
    before = source.fingerprint
    (tmp_path / "part-3.csv").write_text("text,label\nt,x\n")
    assert opened(tmp_path / "part-*.csv").fingerprint != before


@pytest.mark.parametrize("name", ["part-[1].csv", "what?.csv", "a*.csv"])
def test_a_file_with_the_signs_of_a_pattern_in_its_name_is_that_file(name, tmp_path):
    (tmp_path / name).write_text(CSV)
    (tmp_path / "part-1.csv").write_text("text,label\nother,x\n")
    assert rows(opened(tmp_path / name)) == [TEXTS, NAMES]


PATTERNS = {
    "none": ({}, "no file has such a name"),
    "two formats": ({"part-1.csv": CSV, "part-2.csv.gz": CSV, "part-3.jsonl": "{}"}, "are of different formats"),
    "other columns": ({"part-1.csv": CSV, "part-2.csv": "text,stars\na,1\n"}, r"part-2\.csv: .*\(label, stars\)"),
    "no split's name": ({"train.csv": CSV, "part-1.csv": CSV}, r"the name of part-1\.csv begins with no split's"),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_files_that_do_not_go_together_are_told_in_one_line(case, tmp_path):
    files, said = PATTERNS[case]
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said) as refused:
        rows(opened(tmp_path / "*.*"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_split_files_of_a_folder_are_its_splits(suffix, tmp_path):
    for stem, label in (("train-1", "a"), ("train-2", "b"), ("dev", "c"), ("test", "d")):
        content = f"text,label\n{stem},{label}\n".encode()
        (tmp_path / f"{stem}.{suffix}").write_bytes(gzip.compress(content) if suffix == "csv.gz" else content)
    (tmp_path / "README.md").write_text("# What this is\n")
    source = opened(tmp_path)
    assert source.splits() == ["train", "validation", "test"]
    assert rows(source) == [["train-1", "train-2"], ["a", "b"]]
    assert rows(source, "test") == [["test"], ["d"]]


BAD = {"a.csv": CSV + "one,two,three\n", "a.jsonl": '{"text": "a", "label": "x"}\n[1]\n'}


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_is_no_row_is_named_or_counted(name, tmp_path, capsys):
    (tmp_path / name).write_text(BAD[name])
    said = "row 30 has 3 fields, not 2 ('one,two,three')" if name == "a.csv" else "line 2 is not a JSON object"
    with pytest.raises(UserError) as refused:
        rows(opened(tmp_path / name))
    assert said in str(refused.value)
    assert str(refused.value).endswith("or set data.on_bad_row=skip")
    found = rows(opened(tmp_path / name, "data.on_bad_row=skip"))
    assert len(found[0]) == (30 if name == "a.csv" else 1)
    assert capsys.readouterr().err.count("skips 1 lines that are no rows") == 1


def test_a_folder_a_class_is_texts_with_labels(tmp_path):
    for kind in ("pos", "neg"):
        for i in range(3):
            file = tmp_path / "reviews" / kind / f"{i}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{kind} {i}")
    source = opened(tmp_path / "reviews")
    assert source.splits() == ["train"]
    assert rows(source) == [[f"{k} {i}" for k in ("neg", "pos") for i in range(3)], ["neg"] * 3 + ["pos"] * 3]
    assert source.file_of("train", 4) == "pos/1.txt"


def test_a_folder_a_split_with_a_folder_a_class(tmp_path):
    for split in ("train", "valid", "test"):
        for kind in ("a", "b"):
            (tmp_path / split / kind).mkdir(parents=True)
            (tmp_path / split / kind / "x.txt").write_text(f"{split} {kind}")
    source = opened(tmp_path)
    assert source.splits() == ["train", "validation", "test"]
    assert rows(source, "validation") == [["valid a", "valid b"], ["a", "b"]]


def test_a_text_that_is_too_long_or_not_utf8_is_named_by_its_file(tmp_path, monkeypatch):
    from attnpred.data import folder_source
    from attnpred.data.class_target import ClassTarget
    from attnpred.modalities.text.data import TextData

    for kind in ("a", "b"):
        (tmp_path / "made" / kind).mkdir(parents=True)
        (tmp_path / "made" / kind / "x.txt").write_text("some words")
    (tmp_path / "made/b/y.txt").write_bytes(b"caf\xe9")
    chosen = ["model=transformer", "data=texts", f"data.source={tmp_path / 'made'}", f"data.cache_dir={tmp_path / 'c'}"]
    config = compose.compose([*chosen, "data.text_column=text", "data.label_column=label"]).data
    config.val_split = config.test_split = "train"
    with pytest.raises(UserError, match=r"row 2 of .* is no text in UTF-8; .* \(in b/y\.txt\)$"):
        TextData(config, ClassTarget(["label"], "data.label_column")).loader("train")
    monkeypatch.setattr(folder_source, "LARGEST_TEXT", 5)
    with pytest.raises(UserError, match=r"a/x\.txt cannot be read \(is longer than 0 MiB\)"):
        rows(opened(tmp_path / "made"))


def test_a_column_names_the_splits(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,part\none,x,train\ntwo,y,test\nthree,x,train\n")
    source = opened(tmp_path / "a.csv", "data.split_column=part")
    assert source.splits() == ["train", "test"]
    assert rows(source) == [["one", "three"], ["x", "x"]]
    assert rows(source, "test") == [["two"], ["y"]]
    assert source.fingerprint != opened(tmp_path / "a.csv").fingerprint
    assert source.file_of("test", 0) == "a.csv"


def test_a_column_that_names_no_splits_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,part\n" + "".join(f"t,x,{i}\n" for i in range(30)))
    with pytest.raises(UserError, match=r"^data\.split_column=part: holds more than 20 values"):
        opened(tmp_path / "a.csv", "data.split_column=part").splits()
    with pytest.raises(UserError, match=r"^data\.split_column=other: .* has no such column; it has text, label, part$"):
        opened(tmp_path / "a.csv", "data.split_column=other").splits()
    (tmp_path / "b.jsonl").write_text('{"text": "a", "part": "train"}\n{"text": "b", "part": null}\n')
    with pytest.raises(UserError, match=r"row 1 names no split; mend it, or set data\.on_bad_row=skip"):
        opened(tmp_path / "b.jsonl", "data.split_column=part").splits()
    assert opened(tmp_path / "b.jsonl", "data.split_column=part", "data.on_bad_row=skip").splits() == ["train"]
