"""Images that are trained on as they are read, of folders and tables: nothing is kept, and a run goes on exactly."""

import shutil

import numpy as np
import pytest
import torch

from attnpred.cli import main
from attnpred.data.streaming import StreamLoader
from attnpred.errors import UserError
from tests.data.made import image_config, image_data, image_rows, make_image_source, png
from tests.died import check_same, died, train

COUNTS = {"train": 45, "validation": 12, "test": 12}
SPLITS = {"val_split": "validation", "test_split": "test"}


def rows_of(split):
    return image_rows(COUNTS[split], seed=list(COUNTS).index(split), size=(12, 10))


@pytest.fixture(params=["folder", "table"])
def photos(request, tmp_path):
    """The same pictures in a folder a class, or in Parquet files as on the hub."""
    if request.param == "table":
        return make_image_source(tmp_path / "photos", rows={s: rows_of(s) for s in COUNTS}, columns=("image", "label"))
    for split in COUNTS:
        for number, (image, label) in enumerate(zip(*rows_of(split), strict=True)):
            folder = tmp_path / "photos" / split / "ab"[label]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:02}.png").write_bytes(png(image))
    return tmp_path / "photos"


def streamed(source, cache, **changes):
    columns = {"image_column": "image", "label_column": "label"}
    small = {"stream": True, "stream_buffer": 20, "batch_size": 4, "size": [12, 10], "fit": "stretch"}
    return image_data(image_config(source, cache, **{**columns, **SPLITS, **small, **changes}))


def seen(loader):
    return [(batch.ids, batch.input.pixels, batch.targets["label"]) for batch in loader]


def alike(one, other):
    return len(one) == len(other) and all(map(torch.equal, sum(one, ()), sum(other, ())))


def test_batches_are_of_the_rows_that_they_name(photos, tmp_path):
    data = streamed(photos, tmp_path / "cache")
    known = list(zip(*rows_of("train"), strict=True))
    files = data.source.sample("train", "data.train_split", COUNTS["train"]).get("file", range(COUNTS["train"]))
    numbers = [int(str(file)[-6:-4]) if isinstance(file, str) else file for file in files]
    rows = []
    for ids, images, labels in seen(data.loader("train")):
        for row, pixels, label in zip(ids.tolist(), images, labels.tolist(), strict=True):
            rows.append(row)
            assert np.array_equal(pixels.permute(1, 2, 0), known[numbers[row]][0])
            assert label == known[numbers[row]][1]
    assert len(set(rows)) == len(rows) == 44


def test_a_stream_and_prepared_images_have_one_specification(photos, tmp_path):
    stream = streamed(photos, tmp_path / "cache", stream_buffer=45)
    whole = streamed(photos, tmp_path / "cache", stream=False)
    assert stream.specs == whole.specs
    assert stream.target_spec == whole.target_spec
    kept = {entry.name.partition("-")[0] for entry in (tmp_path / "cache").iterdir() if entry.is_dir()}
    assert kept == {"statistics", "pixels"}


@pytest.mark.parametrize("place", [1, 4, 5, 10])
def test_it_goes_on_at_any_batch(photos, place, tmp_path):
    changes = {"augment": {"random_crop": 0.4}}
    loader = streamed(photos, tmp_path / "cache", **changes).loader("train", seed=3)
    loader.set_epoch(2)
    whole, batches = seen(loader), iter(loader)
    for _ in range(place):
        next(batches)
    state = loader.state_dict()
    again = streamed(photos, tmp_path / "cache", **changes).loader("train", seed=3)
    again.load_state_dict(state)
    assert alike(seen(again), whole[place:])
    again.set_epoch(1)
    assert not alike(seen(again), whole)


def test_processes_share_every_row_out(photos, tmp_path):
    data = streamed(photos, tmp_path / "cache")
    parts = [[int(row) for ids, *_ in seen(data.loader("train", rank=rank, world=2)) for row in ids] for rank in (0, 1)]
    assert len(parts[0]) == len(parts[1]) == 20
    assert not set(parts[0]) & set(parts[1])


def test_crops_change_with_the_epoch_and_not_with_the_process(photos, tmp_path):
    data = streamed(photos, tmp_path / "cache", augment={"random_crop": 0.4})
    assert data.augment(2) is None
    found = []
    for world in (1, 2):
        shares = [batch for rank in range(world) for batch in seen(data.loader("train", rank=rank, world=world))]
        found.append({int(row): image for ids, images, _ in shares for row, image in zip(ids, images, strict=True)})
    common = found[0].keys() & found[1].keys()
    assert len(common) > 30
    assert all(torch.equal(found[0][row], found[1][row]) for row in common)


def test_memory_is_estimated_by_a_batch_and_samples_are_whole(photos, tmp_path):
    loader = streamed(photos, tmp_path / "cache").loader("train")
    assert isinstance(loader, StreamLoader)
    assert loader.largest().input.pixels.shape == (4, 3, 12, 10)
    assert sorted(row for ids, *_ in seen(loader.sample(10)) for row in ids.tolist()) == list(range(10))


@pytest.mark.parametrize("photos", ["folder"], indirect=True)
def test_what_is_wrong_with_a_picture_is_told_with_its_file(photos, tmp_path):
    # beyond the rows that are read before training
    late = streamed(photos, tmp_path / "cache").source.file_of("train", 38)
    (photos / late).write_bytes(b"no picture")
    with pytest.raises(UserError, match=rf"row 38 of data\.train_split=train cannot be decoded.*\(in {late}\)"):
        seen(streamed(photos, tmp_path / "cache").loader("train"))
    (photos / late).write_bytes(png(np.zeros((5, 5, 3), np.uint8)))
    said = r"row 38 .* is 5 × 5 RGB, others are 12 × 10 RGB; bring all images to one size"
    with pytest.raises(UserError, match=said):
        seen(streamed(photos, tmp_path / "cache", size=None).loader("train"))


@pytest.mark.parametrize("photos", ["folder"], indirect=True)
def test_folders_of_classes_are_mixed(photos, tmp_path):
    sources = [streamed(photos, tmp_path / "cache", stream=stream).source for stream in (True, False)]
    mixed, in_order = (source.sample("train", "data.train_split", 45)["label"] for source in sources)
    assert in_order == sorted(mixed) != mixed
    assert all(len(set(mixed[start : start + 15])) == 2 for start in (0, 15, 30))


@pytest.mark.parametrize("photos", ["table"], indirect=True)
def test_what_needs_all_rows_is_refused(photos, tmp_path):
    for changes in ({"sampling": "balanced"}, {"on_bad_row": "skip"}):
        with pytest.raises(UserError, match=r"data\.stream=true"):
            streamed(photos, tmp_path / "cache", **changes)
    with pytest.raises(UserError, match="cannot be carved"):
        streamed(photos, tmp_path / "cache", val_split=None).loader("train")


@pytest.mark.slow
@pytest.mark.parametrize("photos", ["folder"], indirect=True)
def test_a_run_that_died_goes_on_and_keeps_no_picture_of_train(photos, tmp_path, monkeypatch, capsys):
    small = ["model=resnet_attention", "model.width=8", "model.depth=1", "model.heads=2", "trainer.max_epochs=2"]
    options = ["data=images", f"data.source={photos}", "data.stream=true", "data.size=12", "data.stream_buffer=20"]
    options += [f"data.cache_dir={tmp_path / 'cache'}", "data.batch_size=4", "data.augment.random_crop=0.5"]
    options += ["data.augment.crop=2", "trainer.attention_examples=4", "logger=csv", "trainer.precision=32-true"]
    options += ["checkpoint.every_steps=1", "checkpoint.every_minutes=null", "resume=auto", "trainer.accelerator=cpu"]
    whole = train(tmp_path / "whole", [*small, *options])
    kept = [entry.name.partition("-")[0] for entry in (tmp_path / "cache").iterdir() if entry.is_dir()]
    assert sorted(kept) == ["count", "pixels", "pixels", "statistics"]
    from attnpred.training.learner import Learner

    died(tmp_path / "died", [*small, *options], monkeypatch, Learner, "training_step", 15)
    check_same(train(tmp_path / "died", [*small, *options]), whole)
    assert main(["evaluate", str(whole.path)]) == 0
    assert main(["explain", str(whole.path), "--split", "val", "--limit", "4"]) == 0
    shutil.rmtree(tmp_path / "cache")
    capsys.readouterr()
    assert main(["predict", str(whole.path), str(next((photos / "test/a").iterdir()))]) == 0
    assert '"label"' in capsys.readouterr().out
