"""Images of any size, shape and colours are brought to one size, alike from the cache, from files and in prediction."""

import io
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from attnpred.cli import main
from attnpred.config.schema import Invalid
from attnpred.errors import UserError
from attnpred.modalities.image.decoding import as_pixels, fitted, in_colours, open_image, read_image
from attnpred.modalities.image.fit import Fit, random_boxes
from tests.data.made import image_config, image_data, make_image_source

SHAPES = [(40, 30, 3), (31, 64, 3), (24, 24, 1), (50, 20, 4), (16, 16, 3), (8, 90, 3)]


@pytest.fixture
def photos(tmp_path):
    """Of all sizes, grey and with transparency among them; the label is whether they are bright."""
    random = np.random.default_rng(0)
    rows = {}
    for split, count in (("train", 60), ("test", 20)):
        labels = [row % 2 for row in range(count)]
        images = [random.integers(0, 100, SHAPES[row % 6], np.uint8) + 150 * (row % 2) for row in range(count)]
        rows[split] = ([image.astype(np.uint8) for image in images], labels)
    return make_image_source(tmp_path / "photos", rows=rows)


def steps():
    """40 wide, 20 high: four stripes, each of a level of its own."""
    return Image.fromarray(np.repeat(np.array([[0, 80, 160, 240]], np.uint8), 20, 0).repeat(10, 1))


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        (Fit(20, 20, "crop"), (80, 160)),
        (Fit(20, 20, "crop", 0.5), (80, 160)),
        (Fit(20, 20, "stretch"), (0, 240)),
        (Fit(20, 20, "pad"), (0, 0)),
    ],
    ids=str,
)
def test_the_part_that_is_shown(fit, expected):
    pixels = fit.apply(as_pixels(steps(), 1))
    assert pixels.shape == (1, 20, 20)
    row = pixels[0, 0 if fit.way == "pad" else 10]
    assert (int(row[1]), int(row[-2])) == expected
    if fit.way == "pad":
        assert pixels[0, 10, [1, -2]].tolist() == [0, 240]


def test_a_jpeg_is_decoded_no_larger_than_needed():
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    Image.fromarray(noise).resize((64, 48)).resize((800, 600)).save(file, "jpeg", quality=95)
    small, whole = open_image(io.BytesIO(file.getvalue()), Fit(60, 60, "crop")), open_image(io.BytesIO(file.getvalue()))
    assert (whole.size, small.size) == ((800, 600), (100, 75))
    one, other = (fitted(image, 3, Fit(60, 60, "crop")).astype(int) for image in (small, whole))
    assert np.abs(one - other).mean() < 4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGB", {"progressive": True, "subsampling": 0}),
        ("RGB", {"quality": 30, "restart_marker_rows": 2}),
        ("L", {}),
        ("CMYK", {}),
    ],
    ids=str,
)
def test_both_decoders_see_the_same(mode, options, channels):
    noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((201, 151)).convert(mode).save(file, "jpeg", **options)
    for fit, box in ((Fit(120, 120, "crop"), None), (Fit(110, 150, "pad"), None), (Fit(90, 90), (0.1, 0.2, 0.6, 0.9))):
        expected = fitted(open_image(io.BytesIO(file.getvalue()), fit, box), channels, fit, box)
        assert np.array_equal(read_image(io.BytesIO(file.getvalue()), channels, fit, box), expected)


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_half_of_a_jpeg_is_told_alike_by_both_decoders(kept, tmp_path):
    file = tmp_path / "half.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    with pytest.raises(OSError, match="truncated"):
        read_image(file, 3, Fit(80, 80))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_cropped_upright(orientation):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    steps().resize((400, 200)).save(file, "jpeg", exif=exif)
    whole = fitted(open_image(io.BytesIO(file.getvalue())), 1, Fit(20, 10, "crop"))
    small = fitted(open_image(io.BytesIO(file.getvalue()), Fit(20, 10, "crop")), 1, Fit(20, 10, "crop"))
    assert np.abs(whole.astype(int) - small).max() < 30
    assert (whole[0, :, 5].std() > whole[0, 10].std()) == (orientation > 4)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_white(mode):
    image = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    pixels = as_pixels(image.convert(mode), 3)
    assert pixels[:, 0, 1].tolist() == [255, 255, 255]
    assert in_colours(image, 1).getpixel((1, 0)) == 255


def test_crops_keep_their_share_and_stay_inside():
    boxes = random_boxes(np.random.default_rng(0).random((1000, 4)), 0.25)
    across, down = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert (across * down).min() > 0.2  # a little less where a shape does not fit in
    assert 0.7 < (across / down).min() < 1 < (across / down).max() < 1.4
    assert len(np.unique(boxes[:, 0])) > 900


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_pixels_and_files_are_the_same_images(fit, photos, tmp_path):
    like = {"size": [12, 10], "fit": fit}
    once = image_data(image_config(photos, tmp_path / "cache", **like))
    always = image_data(image_config(photos, tmp_path / "cache", **like, decode="always"))
    assert once.reader.spec == always.reader.spec
    assert (once.reader.spec.height, once.reader.spec.width, once.reader.spec.channels) == (12, 10, 3)
    for split in ("train", "val", "test"):
        for one, other in zip(once.loader(split), always.loader(split), strict=True):
            assert torch.equal(one.input.pixels, other.input.pixels)
            assert torch.equal(one.ids, other.ids)


def test_random_crops_depend_on_seed_epoch_and_row_alone(photos, tmp_path):
    config = image_config(photos, tmp_path / "cache", size=10, decode="always", augment={"random_crop": 0.2})
    data = image_data(config)
    loader = data.loader("train", seed=3)

    def seen(loader, epoch, start=0):
        if start:
            loader.load_state_dict({"epoch": epoch, "position": start})
        else:
            loader.set_epoch(epoch)
        return [(batch.ids.tolist(), batch.input.pixels) for batch in loader]

    whole = seen(loader, 1)
    assert loader.state_dict() == {"epoch": 1, "position": len(whole)}
    later = seen(data.loader("train", seed=3), 1, start=2)
    assert len(later) == len(whole) - 2
    for (ids, pixels), (same_ids, same) in zip(later, whole[2:], strict=True):
        assert ids == same_ids
        assert torch.equal(pixels, same)
    other = {row: image for ids, pixels in seen(loader, 2) for row, image in zip(ids, pixels, strict=True)}
    mine = {row: image for ids, pixels in whole for row, image in zip(ids, pixels, strict=True)}
    assert not any(torch.equal(mine[row], other[row]) for row in mine.keys() & other.keys())
    plain = [batch.input.pixels for batch in image_data(config).loader("test")]
    assert all(torch.equal(a, b.input.pixels) for a, b in zip(plain, data.loader("test"), strict=True))


def test_batches_made_ahead_are_no_part_of_the_state(photos, tmp_path):
    data = image_data(image_config(photos, tmp_path / "cache", size=10, decode="always", batch_size=8))
    loader = data.loader("train")
    list(islice(loader, 2))
    assert loader.state_dict()["position"] == 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"decode": "always"}, "data.decode"),
        ({"size": [3]}, "data.size"),
        ({"size": 8, "evidence_column": "box"}, "data.evidence_column"),
    ],
    ids=str,
)
def test_what_does_not_go_together(changes, named, photos, tmp_path):
    with pytest.raises((UserError, Invalid), match=named.replace(".", r"\.")):
        image_config(photos, tmp_path, **changes)


def test_images_of_several_sizes_need_one(photos, tmp_path):
    with pytest.raises(UserError, match=r"bring all images to one size and number of colours by data\.size"):
        list(image_data(image_config(photos, tmp_path / "cache")).loader("train"))


@pytest.mark.parametrize("decode", ["once", "always"])
def test_a_damaged_file_is_counted_or_named(decode, tmp_path):
    rows = {
        "train": ([np.zeros((9, 9, 3), np.uint8)] * 40, [0, 1] * 20),
        "test": ([np.zeros((9, 9, 3), np.uint8)], [0]),
    }
    source = make_image_source(tmp_path / "s", rows=rows)
    damage(source)
    config = image_config(source, tmp_path / "cache", size=4, decode=decode)
    with pytest.raises(UserError, match=r"row 3 of data\.train_split=train cannot be decoded"):
        list(image_data(config).loader("train"))
    skipping = image_data(image_config(source, tmp_path / "cache", size=4, decode=decode, on_bad_row="skip"))
    batches = [batch for split in ("train", "val") for batch in skipping.loader(split)]
    assert not any(3 in batch.ids for batch in batches)


def damage(source):
    """Cuts the fourth image of train short."""
    file = next(source.rglob("*train*.parquet"))
    table = pq.read_table(file)
    images = table.column("img").to_pylist()
    images[3]["bytes"] = images[3]["bytes"][:40]
    place = table.column_names.index("img")
    pq.write_table(table.set_column(place, "img", pa.array(images, table.schema.field("img").type)), file)


def test_a_run_answers_photos_as_it_was_trained(photos, tmp_path, capsys):
    """Prediction of the test split's files gives the labels that evaluation counts."""
    place = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={tmp_path / 'cache'}", f"data.source={photos}"]
    small = ["model.width=8", "model.depth=1", "trainer.max_epochs=3", "data.batch_size=8", "logger=none"]
    data = ["data=cifar10", "data.size=16", "data.decode=always", "data.augment.random_crop=0.5", "data.augment.crop=0"]
    assert main(["train", *data, *place, *small]) == 0
    run = next((tmp_path / "outputs").rglob("run.json")).parent
    capsys.readouterr()
    picture = tmp_path / "bright.png"
    Image.fromarray(np.full((40, 90, 3), 220, np.uint8)).save(picture)
    assert main(["predict", str(run), str(picture)]) == 0
    assert '"size": [16, 16]' in capsys.readouterr().out
