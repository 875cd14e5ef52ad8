"""One's own pictures: a folder a class, or a table of paths; brought to one size, in colour."""

import numpy as np
import pytest

from attnpred.config import compose
from attnpred.data.class_target import ClassTarget
from attnpred.data.columns import settled
from attnpred.errors import UserError
from attnpred.modalities.image.data import ImageData
from tests.data.made import image_rows, png


@pytest.fixture
def data_of(tmp_path):
    def made(source, *options):
        chosen = ["data=images", f"data.source={source}", f"data.cache_dir={tmp_path / 'cache'}", *options]
        config = settled(compose.compose(chosen).data, "class")
        return ImageData(config, ClassTarget(*config.target_columns("class")))

    return made


@pytest.fixture
def pictures(tmp_path):
    """Pictures of several sizes, every third grey, below photos/; their names and labels."""
    found = []
    for i, label in enumerate([0, 1] * 20):
        (image,), _ = image_rows(1, seed=i, size=(8 + i % 3, 10), channels=3)
        folder = tmp_path / "photos" / "ab"[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.png").write_bytes(png(image[..., 0] if i % 3 == 0 else image))
        found.append((f"{'ab'[label]}/{i}.png", "ab"[label]))
    return found


def seen(data):
    return [batch for split in ("train", "val", "test") for batch in data.loader(split)]


def test_a_folder_a_class_is_read_and_brought_to_one_size(pictures, data_of, tmp_path):
    data = data_of(tmp_path / "photos", "data.size=16")
    assert data.target_spec.classes == ("a", "b")
    batches = seen(data)
    assert sum(map(len, batches)) == 40
    assert {tuple(batch.input.pixels.shape[1:]) for batch in batches} == {(3, 16, 16)}


def test_pictures_of_several_sizes_are_refused_with_what_helps(pictures, data_of, tmp_path):
    with pytest.raises(UserError, match=r"bring all images to one size .* by data\.size; .* \(in a/"):
        _ = data_of(tmp_path / "photos", "data.size=null").reader


def test_a_table_names_pictures_by_their_paths_from_where_it_lies(pictures, data_of, tmp_path, monkeypatch):
    rows = "".join(f"{path},{label}\n" for path, label in pictures)
    (tmp_path / "photos/labels.csv").write_text("picture,kind\n" + rows)
    monkeypatch.chdir("/")
    by_table = data_of(tmp_path / "photos/labels.csv", "data.size=16")
    assert by_table.config.image_column == "picture"
    folders = {
        row: pixels
        for batch in seen(data_of(tmp_path / "photos", "data.size=16"))
        for row, pixels in zip(batch.ids.tolist(), batch.input.pixels.numpy(), strict=True)
    }
    order = sorted(range(40), key=lambda i: pictures[i][::-1])
    for batch in seen(by_table):
        for row, pixels in zip(batch.ids.tolist(), batch.input.pixels.numpy(), strict=True):
            assert np.array_equal(pixels, folders[order.index(row)])


@pytest.mark.parametrize("path", ["../private.png", "{tmp}/private.png", "link.png"])
def test_a_path_of_elsewhere_is_refused(path, pictures, data_of, tmp_path):
    (tmp_path / "private.png").write_bytes(png(np.zeros((8, 8, 3), np.uint8)))
    (tmp_path / "photos/link.png").symlink_to(tmp_path / "private.png")
    rows = "".join(f"{path},{label}\n" for path, label in [*pictures, (path.format(tmp=tmp_path), "a")])
    (tmp_path / "photos/labels.csv").write_text("picture,kind\n" + rows)
    data = data_of(tmp_path / "photos/labels.csv", "data.on_bad_row=skip")
    with pytest.raises(UserError, match=r"row 40 of data\.train_split=train names the file .* outside of"):
        _ = data.reader


def test_evidence_in_pixels_and_another_size_are_refused():
    with pytest.raises(
        UserError, match=r"data\.evidence_column=boxes: holds places in images as they are; leave data\.size=null"
    ):
        compose.compose(["data=images", "data.evidence_column=boxes"])
