import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attnpred.config import schema
from attnpred.config.data_options import AugmentConfig
from attnpred.errors import UserError
from attnpred.modalities.image.augment import Augment, cut_out, turn
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from tests.data.made import image_config, image_data
from tests.models.made import CLASSES, as_batch, make_task

SPEC = ImageSpec(channels=2, height=6, width=8, mean=(10.4, 20.6), std=(1.0, 1.0))
OFF = {"crop": 0, "flip": False, "cutout": 0, "mixup": 0.0, "cutmix": 0.0}


def augment(**changes):
    return Augment(AugmentConfig(**{**OFF, **changes}), SPEC, 9, make_task(CLASSES["image"]).soften)


def batch(count=64):
    """Images whose every pixel tells its own place."""
    place = torch.arange(6 * 8, dtype=torch.uint8).view(1, 1, 6, 8)
    pixels = torch.cat([place, place + 100], 1).repeat(count, 1, 1, 1)
    return as_batch(ImageInput(pixels=pixels), "image")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_crop_shifts_each_image_and_reflects():
    given = batch()
    changed = augment(crop=2)(given, 0)
    assert changed.input.pixels.dtype == torch.uint8
    padded = torch.nn.functional.pad(given.input.pixels[:1].float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)[0]
    crops = {(y, x): padded[:, y : y + 6, x : x + 8] for y in range(5) for x in range(5)}
    found = [next(shift for shift, crop in crops.items() if torch.equal(crop, image)) for image in changed.input.pixels]
    assert len(set(found)) > 15
    assert torch.equal(changed.targets["label"], given.targets["label"])
    assert torch.equal(changed.ids, given.ids)


def test_flip_mirrors_half_and_in_the_next_epoch_the_other_half():
    given = batch(200)
    change = augment(flip=True)
    one, other, third = (change(given, epoch).input.pixels for epoch in (4, 5, 6))
    mirrored = (one == given.input.pixels.flip(3)).flatten(1).all(1)
    assert ((one == given.input.pixels).flatten(1).all(1) ^ mirrored).all()
    assert 80 < mirrored.sum() < 120
    assert torch.equal(other, one.flip(3))
    assert torch.equal(third, one)


@pytest.mark.parametrize("step", range(1, 33))
def test_rows_that_are_alike_every_so_often_are_mirrored_apart(step):
    """Else a side would tell the label where labels alternate."""
    share = turn(torch.arange(400) * step, 0).float().mean()
    assert 0.4 < share < 0.6


def test_cutout_blanks_one_square_with_the_mean():
    given = torch.full((64, 2, 6, 8), 255, dtype=torch.uint8)
    changed = cut_out(given, 3, torch.tensor([10, 21], dtype=torch.uint8))
    assert ((changed[:, 0] == 10).sum((1, 2)) == 9).all()
    assert ((changed[:, 1] == 21).sum((1, 2)) == 9).all()
    assert len({tuple(image.flatten().tolist()) for image in changed[:, 0]}) > 10
    assert (augment(cutout=3)(batch(), 0).input.pixels[:, 1] == 21).sum((1, 2)).ge(9).all()


def test_the_first_epochs_see_smaller_images():
    given = as_batch(ImageInput(pixels=torch.full((4, 2, 12, 18), 7.0)), "image")
    spec = ImageSpec(channels=2, height=12, width=18, mean=(1.0, 1.0), std=(1.0, 1.0))
    change = Augment(AugmentConfig(**OFF, small_share=0.4, small_side=8), spec, epochs=9)
    for epoch in range(3):
        small = change(given, epoch).input.pixels
        torch.testing.assert_close(small, torch.full((4, 2, 8, 12), 7.0))
    assert torch.equal(change(given, 3).input.pixels, given.input.pixels)


def test_the_last_epoch_sees_whole_images_however_few_there_are():
    change = Augment(AugmentConfig(**OFF, small_share=0.99, small_side=4), SPEC, epochs=1)
    assert torch.equal(change(batch(), 0).input.pixels, batch().input.pixels)


def test_smaller_images_show_the_same():
    dark_left = torch.zeros(1, 2, 16, 16, dtype=torch.uint8)
    dark_left[..., 8:] = 200
    spec = ImageSpec(channels=2, height=16, width=16, mean=(1.0, 1.0), std=(1.0, 1.0))
    given = as_batch(ImageInput(pixels=dark_left), "image")
    small = Augment(AugmentConfig(**OFF, small_share=0.9, small_side=8), spec, epochs=2)(given, 0).input.pixels
    assert small[..., :3].max() < 10
    assert small[..., 5:].min() > 190


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"small_share": 0.5}, "small_share=0.5: needs data.augment.small_side"),
        ({"small_side": 8}, "small_side=8: needs data.augment.small_share"),
    ],
)
def test_a_smaller_size_and_its_epochs_go_together(changes, complaint):
    with pytest.raises(UserError, match=re.escape(f"data.augment.{complaint}")):
        schema.build(AugmentConfig, {**OFF, **changes}, "data.augment")


@pytest.mark.parametrize("changes", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixing_gives_soft_labels(changes):
    given = batch()
    mixed = augment(**changes)(given, 0)
    assert mixed.targets["label"].shape == (64, 3)
    assert mixed.targets["label"].is_floating_point()
    torch.testing.assert_close(mixed.targets["label"].sum(1), torch.ones(64))
    assert mixed.input.pixels.is_floating_point()
    assert mixed.input.pixels.shape == given.input.pixels.shape


def test_both_mixers_take_turns():
    images = torch.stack([torch.zeros(2, 6, 8), torch.full((2, 6, 8), 200)]).to(torch.uint8)
    given = as_batch(ImageInput(pixels=images), "image")
    change = augment(mixup=1.0, cutmix=1.0)
    blended = [bool(((p > 0) & (p < 200)).any()) for p in (change(given, 0).input.pixels for _ in range(40))]
    assert 5 < sum(blended) < 35


def test_everything_follows_torchs_seed():
    change = augment(crop=2, flip=True, cutout=2, mixup=0.4, cutmix=1.0)
    torch.manual_seed(3)
    first = change(batch(), 0)
    torch.manual_seed(3)
    again = change(batch(), 0)
    assert torch.equal(first.input.pixels, again.input.pixels)
    assert torch.equal(first.targets["label"], again.targets["label"])


@pytest.mark.parametrize("name", ["crop", "cutout", "small_side"])
def test_larger_than_the_image(name):
    with pytest.raises(UserError, match=rf"data\.augment\.{name}=6: must be below the images' 6 pixels"):
        augment(**{name: 6})


def test_nothing_on_is_none_and_imports_no_torchvision(image_source, cache_dir):
    assert image_data(image_config(image_source, cache_dir)).augment(1) is None
    assert image_data(image_config(image_source, cache_dir, augment={"crop": 1})).augment(1) is not None
    modules = "attnpred.modalities.image.augment, attnpred.modalities.image.data"
    code = f"import sys, {modules}; assert 'torchvision' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=True)


def colours(count=64):
    """Images of noise, 32 × 32 RGB, and their specification."""
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)
    spec = ImageSpec(channels=3, height=32, width=32, mean=(100.0,) * 3, std=(1.0,) * 3)
    return as_batch(ImageInput(pixels=pixels), "image"), spec


@pytest.mark.parametrize("change", [{"rand_ops": 2}, {"jitter": 0.4}, {"random_crop": 0.3}, {"erasing": 1.0}], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_changes_of_whole_images(change, channels):
    given, spec = colours()
    pixels = given.input.pixels[:, :channels]
    given = given.reading(ImageInput(pixels=pixels))
    make = Augment(AugmentConfig(**change), replace(spec, channels=channels, mean=spec.mean[:channels]), 9)
    torch.manual_seed(1)
    changed = make(given, 0).input.pixels
    assert (changed.shape, changed.dtype) == (pixels.shape, torch.uint8)
    differ = (changed != pixels).flatten(1).any(1)
    assert differ.float().mean() > 0.5
    torch.manual_seed(1)
    assert torch.equal(make(given, 0).input.pixels, changed)  # by torch's generator alone, which a checkpoint keeps


def test_erasing_blanks_one_rectangle_of_so_many_images():
    given, spec = colours(400)
    changed = Augment(AugmentConfig(erasing=0.5), spec, 9)(given, 0).input.pixels
    gone = (changed == 100).all(1)
    some = gone.flatten(1).float().mean(1)
    assert 0.4 < (some > 0.01).float().mean() < 0.6
    for image in gone[some > 0.01][:20]:
        rows, columns = image.float().mean(1) > 0.05, image.float().mean(0) > 0.05
        assert image[rows][:, columns].float().mean() > 0.95


def test_evidence_moves_with_a_random_crop_and_ends_with_randaugment():
    given, spec = colours(16)
    marks = given.input.pixels[:, 0] > 128
    pixels = torch.where(marks[:, None], 255, 0).expand(-1, 3, -1, -1).to(torch.uint8)
    given = given.reading(ImageInput(pixels=pixels, evidence=marks))
    cropped = Augment(AugmentConfig(random_crop=0.3), spec, 9)(given, 0).input
    assert ((cropped.pixels[:, 0] > 127) == cropped.evidence).float().mean() > 0.99
    assert Augment(AugmentConfig(rand_ops=1), spec, 9)(given, 0).input.evidence is None
