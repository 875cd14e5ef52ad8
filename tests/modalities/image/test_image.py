"""Images become batches, and attention on regions becomes attention on pixels."""

import io
from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image

from attnpred.contracts import Attention
from attnpred.errors import UserError
from attnpred.modalities import load_reader
from attnpred.modalities.image.batch import ImageSpec
from attnpred.modalities.image.reader import ImageReader
from attnpred.modalities.reader import save_reader
from tests.data.made import image_config, image_data, image_rows, make_image_source
from tests.models.made import CLASSES

SPEC = ImageSpec(channels=3, height=8, width=6, mean=(0.0,) * 3, std=(1.0,) * 3)


def save(path, array):
    Image.fromarray(array).save(path)
    return str(path)


def pixels_of(*paths):
    """A single batch of image files."""
    [reading] = ImageReader(SPEC).readings(map(str, paths), len(paths))
    return reading.batch.input.pixels


def test_batches_hold_the_rows(image_source, cache_dir):
    images, labels = image_rows(120, seed=0)
    data = image_data(image_config(image_source, cache_dir, batch_size=7))
    batches = list(data.loader("train"))
    assert len(batches) == len(data.loader("train")) == 108 // 7
    for batch in batches:
        assert batch.input.pixels.shape == (7, 3, 8, 8)
        assert batch.input.pixels.dtype == torch.uint8
        for pixels, row, label in zip(batch.input.pixels, batch.ids, batch.targets["label"], strict=True):
            assert label == labels[row]
            assert (pixels.permute(1, 2, 0).numpy() == images[row]).all()
    rows = list(chain.from_iterable(batch.ids.tolist() for batch in data.loader("test")))
    assert sorted(rows) == list(range(40))


def test_statistics_are_of_the_train_part(image_source, cache_dir):
    images = np.stack(image_rows(120, seed=0)[0])
    data = image_data(image_config(image_source, cache_dir, val_fraction=0.4))
    held_out = list(chain.from_iterable(batch.ids.tolist() for batch in data.loader("val")))
    train = np.delete(images, held_out, axis=0).astype(float)
    assert len(train) == 72
    assert data.reader.spec.mean == pytest.approx(train.mean((0, 1, 2)).tolist())
    assert data.reader.spec.std == pytest.approx(train.std((0, 1, 2)).tolist())


def test_grey_images_have_one_channel(tmp_path):
    source = make_image_source(tmp_path / "s", channels=1)
    data = image_data(image_config(source, tmp_path / "c"))
    assert (data.reader.spec.channels, len(data.reader.spec.mean)) == (1, 1)
    assert next(iter(data.loader("test"))).input.pixels.shape == (16, 1, 8, 8)


def test_digits_need_no_source(cache_dir):
    from sklearn.datasets import load_digits

    data = image_data(
        image_config("builtin:digits", cache_dir, image_column="image", test_split=None, test_fraction=0.2)
    )
    assert data.target_spec.classes == tuple("0123456789")
    sizes = {split: sum(len(b) for b in data.loader(split)) for split in ("val", "test")}
    assert sizes == {"val": 180, "test": 359}
    batch = next(iter(data.loader("test")))
    known = load_digits()
    assert batch.targets["label"].tolist() == known.target[batch.ids].tolist()
    assert batch.input.pixels.max() == 255
    assert (batch.input.pixels[:, 0].numpy() == np.round(known.images[batch.ids] * 255 / 16)).all()


def test_second_start_prepares_nothing(image_source, cache_dir, capsys):
    options = image_config(image_source, cache_dir)
    first = image_data(options).reader.spec
    capsys.readouterr()
    assert image_data(options, tokenizer_source="ignored").reader.spec == first
    assert capsys.readouterr().err == ""


def test_evaluation_of_other_images(tmp_path, image_source, cache_dir):
    trained = image_data(image_config(image_source, cache_dir))
    known = {"reader": trained.reader, "target_spec": trained.target_spec}
    same = make_image_source(tmp_path / "same", {"test": 5})
    assert len(image_data(image_config(same, tmp_path / "c"), **known).loader("test")) == 1
    other = make_image_source(tmp_path / "other", {"test": 5}, size=(9, 9), channels=1)
    with pytest.raises(UserError, match=r"data\.test_split=test: its images are 9 × 9 grey, the model's are 8 × 8 RGB"):
        image_data(image_config(other, tmp_path / "c"), **known).loader("test")


def test_reader_travels(image_source, cache_dir, tmp_path):
    reader = image_data(image_config(image_source, cache_dir)).reader
    save_reader(tmp_path, reader, CLASSES["image"])
    assert [p.name for p in tmp_path.iterdir()] == ["spec.json"]
    again = load_reader(tmp_path)
    assert isinstance(again, ImageReader)
    assert again.spec == reader.spec


def test_files_are_brought_to_size_and_colours(tmp_path):
    exact = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    grey = np.full((40, 30), 77, np.uint8)
    files = [save(tmp_path / "a.png", exact), save(tmp_path / "b.png", grey)]
    palette = Image.fromarray(np.full((5, 5, 3), (200, 10, 60), np.uint8)).quantize(4)
    palette.save(tmp_path / "c.gif")
    pixels = pixels_of(*files, tmp_path / "c.gif")
    assert (pixels[0].permute(1, 2, 0).numpy() == exact).all()
    assert (pixels[1] == 77).all()
    assert pixels[2, :, 0, 0].tolist() == [200, 10, 60]


@pytest.mark.parametrize("size", [(8, 6), (200, 150)], ids=["small", "large"])
def test_files_keep_their_order(tmp_path, size):
    random = np.random.default_rng(0)
    images = [random.integers(0, 20, (*size, 3), np.uint8) + 30 * number for number in range(5)]
    files = [save(tmp_path / f"{number}.png", image.astype(np.uint8)) for number, image in enumerate(images)]
    readings = list(ImageReader(SPEC).readings(files, 2))
    assert [reading.inputs for reading in readings] == [files[:2], files[2:4], files[4:]]
    assert [reading.batch.ids.tolist() for reading in readings] == [[0, 1], [2, 3], [4]]
    assert all(reading.batch.targets == {} for reading in readings)
    pixels = torch.cat([reading.batch.input.pixels for reading in readings]).float().mean((1, 2, 3))
    assert (pixels // 30).tolist() == [0, 1, 2, 3, 4]


def test_files_are_read_upright(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera lay on its side
    wide = np.zeros((6, 8, 3), np.uint8)
    wide[:, :4] = 255
    Image.fromarray(wide).save(tmp_path / "a.png", exif=turned)
    pixels = pixels_of(tmp_path / "a.png")[0, 0]
    assert (pixels[:4] == 255).all()
    assert (pixels[4:] == 0).all()


@pytest.mark.parametrize(("name", "said"), [("absent.png", "no such file"), ("text.png", "no image that can be read")])
def test_bad_files_are_named(tmp_path, name, said):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UserError, match=rf"{name}: {said}.*; give the path of an image file"):
        pixels_of(tmp_path / name)


def test_an_image_beyond_all_measure_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = save(tmp_path / "huge.png", np.zeros((20, 20), np.uint8))
    with pytest.raises(UserError, match=r"huge\.png: no image that can be read .*exceeds limit"):
        pixels_of(path)


def test_truncated_file_is_named(tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(file, "png")
    (tmp_path / "cut.png").write_bytes(file.getvalue()[:2000])
    with pytest.raises(UserError, match=r"cut\.png: no image that can be read"):
        pixels_of(tmp_path / "cut.png")


def test_explain_spreads_regions_over_pixels(tmp_path):
    file = save(tmp_path / "a.png", np.zeros((8, 6, 3), np.uint8))
    [reading] = ImageReader(SPEC).readings([file, file], 2)
    attention = Attention(torch.tensor([[0.0, 0.0, 0.7, 0.3], [0.25] * 4]), grids=((2, 2),))
    found, even = reading.describe(attention)
    assert found["size"] == even["size"] == [8, 6]
    assert np.array(even["attention"]) == pytest.approx(np.full((8, 6), 1 / 48), abs=1e-6)
    pixels = np.array(found["attention"])
    assert pixels.shape == (8, 6)
    assert pixels.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(pixels[:, 0]) >= 0).all()
    assert pixels[7, 0] / pixels[7, 5] == pytest.approx(7 / 3, rel=1e-3)
