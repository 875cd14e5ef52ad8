"""Where data is found, and what is said when it is not right."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnpred.data.tags_target import TagsTarget
from attnpred.errors import UserError
from attnpred.modalities.words.data import WordsData
from tests.data.made import (
    image_config,
    image_data,
    image_rows,
    make_image_source,
    make_text_source,
    text_config,
    text_data,
    text_rows,
)
from tests.data.test_real import shipped


@pytest.fixture
def hub_calls(monkeypatch, tmp_path):
    """A machine without a network and with an empty hub cache; what was asked of the hub."""
    import datasets
    import huggingface_hub

    calls = []

    def unreachable(self, name, **options):
        calls.append(name)
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", unreachable)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    return calls


def fails(kind, options, match, split="train"):
    with pytest.raises(UserError, match=match) as caught:
        kind(options).loader(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_hub_id_below_the_root(text_source, cache_dir, monkeypatch, hub_calls):
    monkeypatch.setenv("ATTNPRED_DATA", str(text_source.parent))
    data = text_data(text_config(f"owner/{text_source.name}", cache_dir))
    assert data.target_spec.classes == ("bad", "good")
    assert hub_calls == []


def test_absent_is_said_after_one_question(tmp_path, hub_calls):
    fails(
        text_data, text_config("owner/name", tmp_path / "c"), r"^data\.source=owner/name: not a local .* network once$"
    )
    assert hub_calls == ["owner/name"]
    assert not (tmp_path / "c").exists()


def test_absent_checkpoint_tokenizer(text_source, tmp_path, hub_calls):
    with pytest.raises(UserError, match=r"^model\.source=owner/no-such-model: not a local directory"):
        _ = text_data(text_config(text_source, tmp_path / "c"), tokenizer_source="owner/no-such-model").reader
    assert hub_calls == ["owner/no-such-model"]


def test_what_was_downloaded_once_needs_no_network(tmp_path, hub_calls, monkeypatch):
    import datasets

    made = make_text_source(tmp_path / "made")
    datasets.load_dataset(str(made))
    (tmp_path / "hub/made").rename(tmp_path / "hub/owner___made")
    for changes in ({}, {"subset": "plain_text"}):
        data = text_data(text_config("owner/made", tmp_path / "c", **changes))
        assert sum(len(batch) for batch in data.loader("test")) == 40
    assert hub_calls == []
    fails(text_data, text_config("owner/made", tmp_path / "c", revision="0123"), "hub cannot be reached")


def write_wnut(directory):
    """As the hub's own Parquet copy lies on a branch of it: a folder a configuration, and in that a folder a split."""
    tags = ["O", "B-person", "I-person", "B-location", "I-location"]
    features = {
        "id": {"dtype": "string", "_type": "Value"},
        "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"},
        "ner_tags": {"feature": {"names": tags, "_type": "ClassLabel"}, "_type": "Sequence"},
    }
    rows = {"id": ["0", "1", "2"] * 10, "tokens": [["Ann", "Lee", "slept"], ["Oslo", "!"], ["ok"]] * 10}
    table = pa.table({**rows, "ner_tags": [[1, 2, 0], [3, 0], [0]] * 10})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    for split in ("train", "validation", "test"):
        (directory / "wnut_17" / split).mkdir(parents=True)
        pq.write_table(table, directory / "wnut_17" / split / "0000.parquet")


def test_a_branch_of_the_hub_is_asked_for_once(tmp_path, hub_calls, monkeypatch):
    import datasets
    import huggingface_hub

    write_wnut(tmp_path / "wnut_17")
    datasets.load_dataset(str(tmp_path / "wnut_17"))
    (tmp_path / "hub/wnut_17").rename(tmp_path / "hub/leondz___wnut_17")
    (commit,) = {file.parent.name for file in (tmp_path / "hub").rglob("dataset_info.json")}
    config = shipped("wnut_17", cache_dir=str(tmp_path / "c"))
    target = TagsTarget(["ner_tags"], "data.targets.tags")
    with pytest.raises(UserError, match="hub cannot be reached"):
        WordsData(config, target).loader("train")
    assert not (tmp_path / "c").exists()
    asked = []

    def answers(self, name, *, revision, **options):
        asked.append((name, revision))
        return SimpleNamespace(sha=commit)

    with monkeypatch.context() as patched:
        patched.setattr(huggingface_hub.HfApi, "repo_info", answers)
        assert WordsData(config, target).target_spec.scheme == "bio"
    found = WordsData(replace(config, batch_size=4), target)
    assert found.target_spec.tags[:3] == ("O", "B-location", "I-location")
    assert sum(len(batch) for batch in found.loader("val")) == 30
    assert asked == [("leondz/wnut_17", "refs/convert/parquet")]


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("./no/such", r"data\.source=\./no/such: no such directory"),
        (
            "builtin:digit",
            r"data\.source=builtin:digit: no such built-in dataset; there is digits, easy_vqa, evidence_image, "
            r"evidence_pair, evidence_text; "
            "did you mean builtin:digits",
        ),
    ],
)
def test_unknown_sources(tmp_path, source, match):
    fails(image_data, image_config(source, tmp_path), match)


def test_empty_directory_and_unknown_subset(text_source, tmp_path):
    (tmp_path / "empty").mkdir()
    fails(text_data, text_config(tmp_path / "empty", tmp_path / "c"), r"data\.source=.*empty: cannot be read")
    fails(text_data, text_config(text_source, tmp_path / "c", subset="xx"), r"with data\.subset=xx: .*'plain_text'")


def test_damaged_file(tmp_path):
    source = make_text_source(tmp_path / "s")
    (source / "plain_text/train-00000-of-00001.parquet").write_bytes(b"PAR1 nothing PAR1")
    fails(text_data, text_config(source, tmp_path / "c"), r"data\.source=.*: cannot be read: ")


def test_missing_split_and_column(text_source, image_source, tmp_path):
    options = text_config(text_source, tmp_path / "c", test_split="tset")
    fails(text_data, options, r"data\.test_split=tset: .* has no such split; it has train, test", "test")
    fails(
        text_data,
        text_config(text_source, tmp_path / "c", text_column="x"),
        r"data\.text_column=x: .*it has text, label",
    )
    fails(text_data, text_config(text_source, tmp_path / "c", label_column="y"), r"data\.label_column=y: .*text, label")
    fails(
        image_data, image_config(image_source, tmp_path / "c", image_column="z"), r"data\.image_column=z: .*img, label"
    )


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("bad", "said"), [(-1, r"has no label \(-1\)"), (None, r"has no label \(-1\)"), (2, "has label 2, outside 0 to 1")]
)
def test_bad_labels_name_the_row(tmp_path, split, bad, said):
    rows = {"train": text_rows(30), "test": text_rows(10)}
    rows[split][1][7] = bad
    source = make_text_source(tmp_path / "s", rows=rows)
    match = rf"data\.{split}_split={split}: row 7 {said}; choose"
    fails(text_data, text_config(source, tmp_path / "c"), match, split)


def test_empty_split(tmp_path):
    source = make_text_source(tmp_path / "s", rows={"train": text_rows(30), "test": ([], [])})
    fails(text_data, text_config(source, tmp_path / "c"), r"data\.test_split=test: .* has no rows", "test")


def test_columns_of_another_kind(text_source, image_source, tmp_path):
    fails(
        text_data,
        text_config(text_source, tmp_path / "c", text_column="label"),
        r"data\.text_column=label: holds int values",
    )
    options = image_config(text_source, tmp_path / "c", image_column="text")
    fails(
        image_data, options, r"data\.image_column=text: row 0 of data\.train_split=train cannot be decoded: is no image"
    )
    options = text_config(image_source, tmp_path / "c", text_column="label", label_column="img")
    fails(text_data, options, r"data\.label_column=img: holds dict values")


def test_images_of_other_size_or_colour(tmp_path):
    for name, odd, said in (
        ("size", np.zeros((9, 8, 3), np.uint8), "9 × 8 RGB"),
        ("grey", np.zeros((8, 8, 1), np.uint8), "8 × 8 grey"),
    ):
        images, labels = image_rows(300)
        images[270] = odd
        source = make_image_source(tmp_path / name, rows={"train": (images, labels)})
        match = rf"row 270 of data\.train_split=train is {said}, row 0 is 8 × 8 RGB"
        fails(image_data, image_config(source, tmp_path / "c"), match)


def test_image_that_cannot_be_decoded(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = make_image_source(tmp_path / "s")
    path = source / "plain_text/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    values = table["img"].to_pylist()
    values[3] = {"bytes": b"no image", "path": None}
    pq.write_table(table.set_column(0, "img", pa.array(values, table.schema.field("img").type)), path)
    match = r"data\.image_column=img: row 3 of data\.train_split=train cannot be decoded"
    fails(image_data, image_config(source, tmp_path / "c"), match)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["pos", "neg"] * 15, ("neg", "pos")), ([1, 5, 3] * 10, ("1", "3", "5")), ([True, False] * 15, ("False", "True"))],
)
def test_labels_without_class_names_are_their_own(tmp_path, labels, classes):
    texts = [f"text {label}" for label in labels]
    source = make_text_source(
        tmp_path / "s", rows={"train": (texts, labels), "test": (texts[:1], labels[:1])}, classes=None
    )
    data = text_data(text_config(source, tmp_path / "c"))
    assert data.target_spec.classes == classes
    for split in ("train", "test"):
        for batch in data.loader(split):
            for row, label in zip(batch.ids.tolist(), batch.targets["label"].tolist(), strict=True):
                assert classes[label] == str(labels[row])


def test_other_formats_than_parquet(tmp_path):
    (tmp_path / "s").mkdir()
    for name, count in (("train", 30), ("test", 10)):
        lines = [json.dumps({"text": t, "label": str(label)}) for t, label in zip(*text_rows(count), strict=True)]
        (tmp_path / f"s/{name}.jsonl").write_text("\n".join(lines))
    data = text_data(text_config(tmp_path / "s", tmp_path / "c"))
    assert data.target_spec.classes == ("0", "1")
    assert sum(len(batch) for batch in data.loader("test")) == 10


def test_stdout_stays_silent(text_source, tmp_path, capfd):
    text_data(text_config(text_source, tmp_path)).loader("train")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("label_names", [("bad", "good"), None])
def test_bad_rows_of_texts_may_be_skipped(tmp_path, capfd, label_names):
    texts, labels = text_rows(60)
    texts[5], texts[9], labels[7], labels[20] = None, "  ", None, -1
    rows = {"train": (texts, labels), "test": text_rows(10)}
    source = make_text_source(tmp_path / "s", rows=rows, classes=label_names)
    options = text_config(source, tmp_path / "c", on_bad_row="skip", val_split=None, val_fraction=0.2)
    data = text_data(options)
    found = {split: [int(i) for batch in data.loader(split) for i in batch.ids] for split in ("train", "val", "test")}
    assert sorted(found["train"] + found["val"]) == [i for i in range(60) if i not in (5, 7, 9, 20)]
    assert len(found["val"]) == round(0.2 * 56)
    assert len(found["test"]) == 10
    told = capfd.readouterr().err
    assert told.count("warning: data.train_split=train: skips 4 of 60 rows") == 1
    assert "test_split=test: skips" not in told


def test_bad_images_may_be_skipped(tmp_path, capfd):
    images, labels = image_rows(40)
    images[0], labels[8] = np.zeros((9, 8, 3), np.uint8), None
    images[0] = images[1]
    images[30] = np.zeros((9, 8, 3), np.uint8)
    source = make_image_source(tmp_path / "s", rows={"train": (images, labels), "test": image_rows(10)})
    data = image_data(image_config(source, tmp_path / "c", on_bad_row="skip"))
    ids = [int(i) for batch in data.loader("train") for i in batch.ids]
    assert not {8, 30} & set(ids)
    assert len(ids) > 20
    told = capfd.readouterr().err
    assert "skips 2 of 40 rows (row 30 of data.train_split=train is 9 × 8 RGB, row 0 is 8 × 8 RGB" in told


def test_nothing_but_bad_rows(tmp_path):
    rows = {"train": text_rows(20), "test": ([""] * 5, [0] * 5)}
    source = make_text_source(tmp_path / "s", rows=rows)
    options = text_config(source, tmp_path / "c", on_bad_row="skip")
    fails(text_data, options, r"data\.test_split=test: every row is bad", "test")
