"""Studies of explanations: chance beside every explainer, and maps that fall apart with the weights."""

import json
import shutil

import pytest
import torch

from attnpred import cli
from attnpred.explain import story
from attnpred.explain.against_chance import FLOOR
from attnpred.explain.cascade import shuffled
from attnpred.explain.study import Study, sanity
from attnpred.modalities.image.reader import ImageReader
from tests.explain.made import CLASSES, Mixer, texts
from tests.models.made import CLASSES as CLASSES_OF
from tests.models.made import IMAGE, image_batch, make_model
from tests.tasks.made import classification

TASK = classification(CLASSES)
BATCHES = [texts([2, 3, 4, 5, 6], [6, 2, 4]), texts([5, 5, 2, 3])]


def test_every_explainer_is_measured_beside_chance():
    study = Study(Mixer(5).eval(), TASK, ["attention", "input_x_gradient", "occlusion"])
    for batch in BATCHES:
        study.measure(study.explain(batch))
    found = study.result()
    assert found["examples"] == 3
    assert list(found["scores"]) == ["attention", "input_x_gradient", "occlusion", FLOOR]
    for scores in found["scores"].values():
        assert set(scores) - {"racu"} == {
            "comprehensiveness",
            "sufficiency",
            "deletion",
            "insertion",
            "rank_correlation",
        }
        for mean, low, high in scores.values():
            assert low <= mean <= high
    assert found["scores"]["occlusion"]["rank_correlation"] == pytest.approx([1, 1, 1])
    for curves in found["curves"].values():
        assert len(curves["deletion"]) == len(curves["insertion"]) == len(found["fractions"])
        # all there and nothing there are the same for everyone
        assert curves["deletion"][0] == pytest.approx(curves["insertion"][-1])
    ends = {round(curves["deletion"][0], 6) for curves in found["curves"].values()}
    assert len(ends) == 1


def test_shuffled_weights_are_the_same_numbers_elsewhere():
    model = Mixer(5)
    other = shuffled(model)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert not torch.equal(mine, theirs)
        assert torch.equal(mine.flatten().sort().values, theirs.flatten().sort().values)


def test_maps_that_ignore_the_weights_stay_alike():
    found = sanity(Mixer(5).eval(), TASK, ["random", "attention"], BATCHES)
    assert found["random"] == pytest.approx(1)
    assert abs(found["attention"]) < 0.9


def test_a_story_holds_images_and_maps_of_regions():
    model, batch = make_model("resnet_attention", IMAGE).eval(), image_batch(3)
    task, reader = classification(CLASSES_OF["image"]), ImageReader(IMAGE)
    study = Study(model, task, ["attention", "gradcam"])
    explained = study.explain(batch)
    found = story.examples(explained, task, reader, reader.describe(batch.input))
    assert len(found) == 3
    [(rows, columns)] = explained.attention.grids
    for example in found:
        assert example["image"].startswith("data:image/png;base64,")
        assert example["size"] == [16, 8]
        assert example["grid"] == [rows, columns]
        assert {len(values) for values in example["maps"].values()} == {rows * columns}
        assert {len(head) for layer in example["heads"] for head in layer} == {rows * columns}
        assert sum(example["probabilities"].values()) == pytest.approx(1)
    json.dumps(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--explainer", "gradient"], "--explainer gradient: no such explainer; use one of attention,"),
        (["--removal", "delete"], "removal=delete: not for a model that reads image"),
        (["--limit", "0"], "--limit 0: must be at least 1"),
    ],
)
def test_mistakes_are_one_line(trained, arguments, message, capsys):
    assert cli.main(["explain", str(trained), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_maps_beside_the_curves(trained, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = shutil.copytree(trained, tmp_path / "run")
    page = tmp_path / "page.html"
    names = ["attention", "input_x_gradient"]
    flags = [flag for name in names for flag in ("--explainer", name)]
    arguments = ["explain", str(run), "--limit", "5", "--tensorboard", "--output", str(page), *flags]
    assert cli.main(arguments) == 0
    events = EventAccumulator(str(run)).Reload()
    assert {f"explain/{name}" for name in names} <= set(events.Tags()["images"])
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_explain_as_data(trained, capsys):
    names = ["attention", "attnlrp"]
    flags = [flag for name in names for flag in ("--explainer", name)]
    assert cli.main(["explain", str(trained), "--limit", "10", "--json", *flags]) == 0
    out = capsys.readouterr()
    found = json.loads(out.out)
    assert [e["name"] for e in found["explainers"]] == names
    assert len(found["examples"]) == 10
    assert found["faithfulness"]["examples"] == 10
    assert set(found["faithfulness"]["sanity"]) == set(names)
    assert "comprehensiveness" in out.err
    again = cli.main(["explain", str(trained), "--limit", "10", "--json", *flags])
    assert again == 0
    repeated = json.loads(capsys.readouterr().out)
    assert repeated["examples"] == found["examples"]
    assert repeated["faithfulness"] == found["faithfulness"]
