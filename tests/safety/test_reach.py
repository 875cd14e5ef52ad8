"""Rows name no picture of elsewhere, however they write its path, unless the user says that they may."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from attnpred.cli import main
from attnpred.data.places import files_digest
from attnpred.errors import UserError
from tests.data.made import image_config, image_data, image_rows, png
from tests.safety.made import edit_config

NAMED = 7  # row whose picture is given by a path
ONES = np.full((8, 8, 3), 200, np.uint8)


@pytest.fixture
def theirs(tmp_path):
    """Functions that make a source, one of whose rows names a picture by a path; a private one lies outside of it."""
    (tmp_path / "private.png").write_bytes(png(ONES))

    def make(path: str | Path, suffix: str = "") -> Path:
        source = tmp_path / "theirs"
        source.mkdir(exist_ok=True)
        (source / "own.png").write_bytes(png(ONES))
        images, labels = image_rows(30)
        values = [{"bytes": png(image), "path": None} for image in images]
        values[NAMED] = {"bytes": None, "path": str(path)}
        file = source / "train.parquet"
        pq.write_table(pa.table({"img": values, "label": labels}), file)
        return file if suffix else source

    return make


def pixels(source, tmp_path, **changes):
    options = image_config(source, tmp_path / "cache", test_split=None, **changes)
    found = {}
    for split in ("train", "val", "test"):
        for batch in image_data(options).loader(split):
            found |= dict(zip(batch.ids.tolist(), batch.input.pixels.numpy(), strict=True))
    return found


PATHS = ["{tmp}/private.png", "../private.png", "a/../../private.png", "link.png", "folder/private.png", "/etc/passwd"]


@pytest.mark.parametrize("skip", ["fail", "skip"])
@pytest.mark.parametrize("suffix", ["", "file"])
@pytest.mark.parametrize("path", [*PATHS, "file://{tmp}/private.png", "http://127.0.0.1:1/a.png", "zip://a::/b.zip"])
def test_a_picture_of_elsewhere_is_not_read(path, suffix, skip, theirs, tmp_path):
    """Nor passed over: a row that could not be read today would be read tomorrow."""
    source = theirs(path.format(tmp=tmp_path), suffix)
    folder = tmp_path / "theirs"
    (folder / "link.png").symlink_to(tmp_path / "private.png")
    (folder / "folder").symlink_to(tmp_path)
    with pytest.raises(UserError) as caught:
        pixels(source, tmp_path, on_bad_row=skip)
    message = str(caught.value)
    assert message.startswith(f"data.image_column=img: row {NAMED} of data.train_split=train names the file ")
    assert "data.paths_outside=true" in message or "no path of a file" in message
    assert "\n" not in message
    assert not list((tmp_path / "cache").rglob("pixels.bin"))


@pytest.mark.parametrize("path", ["own.png", "{tmp}/theirs/own.png", "../theirs/own.png", "inner.png"])
def test_one_of_its_own_is(path, theirs, tmp_path, monkeypatch):
    source = theirs(path.format(tmp=tmp_path))
    (source / "inner.png").symlink_to("own.png")
    monkeypatch.chdir("/")  # a relative path begins at the source, wherever one is
    assert (pixels(source, tmp_path)[NAMED] == 200).all()


@pytest.mark.parametrize("path", PATHS[:3])
def test_the_user_may_allow_it(path, theirs, tmp_path):
    assert (pixels(theirs(path.format(tmp=tmp_path)), tmp_path, paths_outside=True)[NAMED] == 200).all()


def test_no_run_and_no_file_allows_it(image_run, folder, given):
    from attnpred.runs.run import Run

    edit_config(image_run, data__paths_outside=True)
    assert Run.find(str(image_run)).config().data.paths_outside is False
    line = given(folder(yaml.safe_dump({"data": {"paths_outside": True}}).encode()))
    assert "data.paths_outside=true: a file of --config-dir=" in line


def test_links_in_circles_end(tmp_path):
    """Two of them are two to the power of forty ways."""
    for name in ("a", "b", "c"):
        (tmp_path / name).symlink_to(".")
    (tmp_path / "text.csv").write_text("text,label\n")
    assert files_digest(tmp_path) == files_digest(tmp_path)


@pytest.mark.parametrize("place", ["/", "~", os.path.expanduser("~")])  # noqa: PTH111
def test_the_whole_disk_is_no_dataset(place, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["model=transformer", "data=texts", f"output_dir={tmp_path / 'out'}", "logger=none"]
    assert main(["train", *options, f"data.source='{place}'"]) == 2
    assert "give the directory that holds the files alone" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_huge_tree_without_data_is_not_walked_to_its_end(tmp_path, monkeypatch):
    from attnpred.data import places

    monkeypatch.setattr(places, "MOST_ENTRIES", 20)
    for i in range(30):
        (tmp_path / f"{i}.bin").write_bytes(b"")
    with pytest.raises(UserError, match="none of its first 20 entries is a file of data"):
        places.refuse_place(tmp_path, f"data.source={tmp_path}")
    (tmp_path / "0.csv").write_text("")
    places.refuse_place(tmp_path, f"data.source={tmp_path}")
