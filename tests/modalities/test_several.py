"""Datasets of several inputs a row: read from one's own table, trained on, resumed, explained and answered by name."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import attnpred
from attnpred.cli import main
from attnpred.config import compose
from attnpred.data.builtin.evidence_pair import CLASSES, SIDE, SIZE, generate
from attnpred.errors import UserError
from attnpred.modalities.several.data import SeveralData
from attnpred.runs.run import Run
from attnpred.training.learner import Learner
from attnpred.training.train import settled
from tests.died import Died, check_same, dies_at, the_run, train
from tests.models.made import make_encoder

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}
WORDS = ("is", "it", "the", "a", "picture", "of", "shows")
SMALL = [
    *("model=crossmodal", "model.width=16", "model.heads=2", "model.depth=1", "model.missing=0.3", "model.dropout=0.1"),
    *("model.encoders.text.width=8", "model.encoders.text.heads=2", "model.encoders.image.width=8"),
    *("model.encoders.image.depth=1", "model.encoders.image.heads=2", "model.encoders.image.stages=2"),
    *("model.encoders.series.width=8", "model.encoders.series.depth=1"),
    *("data.batch_size=16", "data.eval_batch_size=16", "trainer.max_epochs=2", "trainer.precision=32-true"),
    *("trainer.attention_examples=4", "trainer.log_every_steps=2", "logger=csv", "optimizer.lr=1e-2"),
    *("checkpoint.every_steps=1", "checkpoint.every_minutes=null", "resume=auto"),
]


def sentence(random, word):
    return " ".join(random.permutation([*random.choice(WORDS, random.integers(2, 6)), word]))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Pictures of one colour beside a text that names one; a series that rises or falls; whether they agree."""
    place = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    rows = []
    for number in range(120):
        shown, named = (str(random.choice(list(COLOURS))) for _ in range(2))
        noise = random.integers(-20, 20, (16, 16, 3))
        pixels = (np.array(COLOURS[shown]) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
        series = (np.arange(12) * (1 if shown == "red" else -1) + random.normal(size=12)).round(3).tolist()
        answer = "yes" if shown == named else "no"
        rows.append({"photo": f"{number}.png", "caption": sentence(random, named), "curve": series, "label": answer})
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place / "rows.jsonl"


def of(table, *more):
    return ["data=text_image", f"data.source={table}", f"data.cache_dir={table.parent / 'cache'}", *more]


@pytest.fixture(scope="module")
def options(table):
    return [*SMALL, *of(table, "data.inputs.image.size=16", "data.inputs.image.augment.crop=1")]


@pytest.fixture(scope="module")
def whole(options, tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), options)


def test_columns_are_found_by_their_kind(whole):
    data = whole.config().data
    assert data.inputs["text"].text_column == "caption"
    assert data.inputs["image"].image_column == "photo"
    assert data.label_column == "label"


def test_it_is_evaluated_as_it_was_tested(whole, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(whole.path)]) == 0
    found, known = json.loads(capsys.readouterr().out), json.loads((whole.path / "metrics.json").read_text())["test"]
    assert found["loss"] == pytest.approx(known["loss"], rel=1e-4)


def test_inputs_are_given_by_name_and_may_be_missing(whole, table, capsys, monkeypatch):
    capsys.readouterr()
    image = table.parent / "3.png"
    assert main(["predict", str(whole.path), "--input", "text=is it red", "--input", f"image={image}"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["input"] == {"text": "is it red", "image": str(image)}
    assert found["inputs"]["text"]["words"] == ["is", "it", "red"]
    assert np.shape(found["inputs"]["image"]["attention"]) == (16, 16)
    for one in found["inputs"].values():
        assert np.sum(one["attention"]) == pytest.approx(1, abs=1e-3)
    assert sum(one["share"] for one in found["inputs"].values()) == pytest.approx(1)

    run = attnpred.load(whole.path)
    both, alone, picture = run.predict(
        {"text": "is it red", "image": str(image)}, {"text": "is it red"}, {"image": image}
    )
    assert both["probabilities"] == pytest.approx(found["probabilities"], rel=1e-4)
    assert alone["inputs"]["image"] == {"missing": True, "share": 0.0}
    assert alone["inputs"]["text"]["share"] == pytest.approx(1)
    assert picture["inputs"]["text"]["missing"]
    assert len({round(one["probabilities"]["yes"], 6) for one in (both, alone, picture)}) == 3
    assert "img" in run.predict({"text": "is it red", "image": str(image)})._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (['{"text": "a", "sound": "b"}'], "sound: no such input; the model reads text and image"),
        (["is it red"], "is no JSON object of inputs; give --input text=… --input image=…"),
        (["{}"], "an example without any input; give at least one of text, image"),
        (["--input", "image=nowhere.png"], "nowhere.png: no such file"),
        (["--input", "red"], "--input red: must be NAME=VALUE"),
    ],
)
def test_what_is_no_example_is_told_in_a_line(arguments, said, whole, capsys):
    assert main(["predict", str(whole.path), *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert told.err.count("\n") == 1


def test_it_is_explained_in_both_inputs_and_measured_for_each(whole, tmp_path, capsys):
    capsys.readouterr()
    flags = ["--explainer", "attention", "--explainer", "input_x_gradient", "--limit", "4"]
    assert main(["explain", str(whole.path), "--split", "test", "--json", *flags]) == 0
    story = json.loads(capsys.readouterr().out)
    for example in story["examples"]:
        text, image = example["inputs"]
        parts = len(text["words"]) + image["grid"][0] * image["grid"][1]
        assert {len(values) for values in example["maps"].values()} == {parts}
        assert np.shape(example["cross"]) == (parts, parts)
        words = len(text["words"])
        cross = np.array(example["cross"])
        assert cross[:words, :words].max() == 0 < cross[:words, words:].max()
        assert cross[words:, words:].max() == 0 < cross[words:, :words].max()
    inputs = story["faithfulness"]["inputs"]
    assert sum(one["share"]["attention"][0] for one in inputs.values()) == pytest.approx(1)
    for one in inputs.values():
        assert len(one["fall"]) == 3
        assert {"comprehensiveness", "sufficiency", "deletion", "insertion"} <= set(one["scores"]["attention"])
    page = tmp_path / "page.html"
    assert main(["explain", str(whole.path), *flags[:2], "--limit", "4", "--output", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_it_goes_on_to_the_last_bit(options, whole, tmp_path, monkeypatch):
    for method, call in (("training_step", 4), ("test_step", 1)):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, method, call)
            with pytest.raises(Died):
                main(["train", *options, f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *options, f"output_dir={tmp_path / 'died'}"]) == 0
    check_same(the_run(tmp_path / "died"), whole)


def test_its_table_is_answered_and_the_uncertain_rows_are_found(whole, table, tmp_path, capsys):
    out = tmp_path / "answers.jsonl"
    assert main(["predict", str(whole.path), "--file", str(table), "--out", str(out), "--no-attention"]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["error"] for row in rows] == [None] * 120
    first = json.loads(table.read_text().splitlines()[0])
    given = {"text": first["caption"], "image": str(table.parent / first["photo"])}
    [alone] = attnpred.load(whole.path).predict(given, attention=False)
    assert rows[0]["label"] == alone["label"]
    capsys.readouterr()
    assert main(["label", str(whole.path), str(table), "--most-uncertain", "3"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({one["row"] for one in found}) == 3
    assert main(["probe", str(whole.path), "--replace", "red=blue"]) == 2
    assert "changes words, and" in capsys.readouterr().err


@pytest.mark.slow
def test_it_is_slimmed_and_begun_from(whole, table, tmp_path, capsys):
    assert main(["slim", str(whole.path), "--parameters", "0.8", "--examples", "16", "--out", str(tmp_path)]) == 0
    source, cache = of(table)[1:]
    texts = ["data=texts", source, cache, "data.text_column=caption", "data.label_column=label"]
    capsys.readouterr()
    wrong = ["train", "model=transformer", *texts, f"model.init_from={whole.path}", f"output_dir={tmp_path}"]
    assert main(wrong) == 2
    assert "reads several, and not texts" in capsys.readouterr().err


@pytest.mark.slow
def test_pretrained_encoders_meet_and_a_run_needs_their_source_no_more(table, tmp_path, capsys):
    source = make_encoder(tmp_path / "tiny")
    pretrained = [
        *("model@model.encoders.text=bert", f"model.encoders.text.source={source}", "optimizer=finetune"),
        *("model@model.encoders.image=vision", "model.encoders.image.source=torchvision/resnet18"),
        *("model.encoders.image.pretrained=false", "data.inputs.image.size=32", "optimizer.lr=1e-3"),
    ]
    common = [word for word in SMALL if "encoders" not in word and not word.startswith("optimizer")]
    run = train(tmp_path / "outputs", [*common, *of(table), *pretrained, "trainer.max_epochs=1"])
    shutil.rmtree(source)
    capsys.readouterr()
    given = ["--input", "text=it is red", "--input", f"image={table.parent / '0.png'}"]
    assert main(["predict", str(run.path), *given]) == 0
    assert json.loads(capsys.readouterr().out)["label"] in ("yes", "no")


def other(kinds, table):
    """A dataset of two other kinds in the same table."""
    text = "{_target_: attnpred.modalities.several.parts.TextPart, text_column: caption, max_length: 16, tokenizer: "
    parts = {
        "text": text + "{kind: word, vocab_size: 64, lowercase: true}}",
        "image": "{_target_: attnpred.modalities.several.parts.ImagePart, image_column: photo, size: 16, augment: {}}",
        "series": "{_target_: attnpred.modalities.several.parts.SeriesPart, columns: [curve]}",
    }
    return ", ".join(f"my_{kind}: {parts[kind]}" for kind in kinds)


@pytest.mark.parametrize("kinds", [("text", "series"), ("image", "series")], ids="-".join)
def test_a_series_can_be_one_of_two_inputs(kinds, table, tmp_path, capsys):
    conf = tmp_path / "conf" / "data"
    conf.mkdir(parents=True)
    said = f"_target_: attnpred.modalities.several.data.SeveralData\nname: mine\nsource: {table}\nlabel_column: label\n"
    (conf / "mine.yaml").write_text(f"{said}inputs: {{{other(kinds, table)}}}\n")
    options = [*SMALL, "data=mine", f"data.cache_dir={tmp_path / 'cache'}", "trainer.max_steps=2"]
    assert main(["train", "--config-dir", str(conf.parent), *options, f"output_dir={tmp_path / 'out'}"]) == 0
    run = the_run(tmp_path / "out")
    capsys.readouterr()
    series = {"curve": list(range(12))}
    given = {"my_series": series} | ({"my_text": "is it red"} if "text" in kinds else {})
    (found,) = attnpred.load(run.path).predict(given)
    assert set(found["inputs"]) == {f"my_{kind}" for kind in kinds}
    assert "attention" in found["inputs"]["my_series"]
    assert ("missing" in found["inputs"].get("my_image", {})) == ("image" in kinds)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.inputs.image.augment.mixup=0.2", "streams, mixes or resizes"),
        ("data.evidence_column=x", "is each input's own"),
        ("data.inputs.text.stream=true", "streams, mixes or resizes"),
    ],
)
def test_what_one_of_several_inputs_cannot_is_refused(override, said):
    with pytest.raises(UserError, match=said):
        compose.compose(["model=crossmodal", "data=text_image", override])


def test_a_bad_picture_loses_its_text_too_where_rows_may_be_skipped(table, tmp_path):
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    (table.parent / "broken.png").write_text("no picture")
    rows[0]["photo"] = "broken.png"
    file = table.parent / "bad.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [*of(file, "data.inputs.image.size=16", "data.on_bad_row=skip", f"data.cache_dir={tmp_path}")]
    config = settled(compose.compose(["model=crossmodal", *words]))
    from attnpred.tasks.classification import Classification

    target = Classification.target(config.task, *config.target_columns())
    data = SeveralData(config.data, target)
    ids = torch.cat([batch.ids for split in ("train", "val", "test") for batch in data.loader(split).sample(200)])
    assert sorted(ids.tolist()) == list(range(1, 120))


def test_a_stranger_s_description_of_inputs_is_refused_in_a_line(whole, tmp_path):
    import shutil

    place = tmp_path / "run"
    shutil.copytree(whole.path, place)
    described = json.loads((place / "spec.json").read_text())
    described["inputs"]["image"] = described["inputs"]["text"]
    (place / "spec.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match="two of its inputs are of one kind"):
        Run.find(str(place)).reader()
    described["inputs"]["image"] = {"spec": {"modality": "several"}, "reader": {}}
    (place / "spec.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match="its modality 'several' is not known"):
        Run.find(str(place)).reader()


def test_made_up_questions_are_answered_by_what_is_marked():
    """The answer follows from the boxes and the word that are recorded, and from nothing else."""
    rows = list(generate(300))
    assert 0.35 < np.mean([row["about"] == "one" for row in rows]) < 0.7
    for row in rows:
        [[start, end]] = row["question_evidence"]
        name = row["question"][start:end]
        assert f" {name} " in f" {row['question']} "
        boxes = row["image_evidence"]
        assert len(boxes) == (1 if row["about"] == "one" else 2)
        for left, top, right, bottom in boxes:
            assert right - left == bottom - top == SIZE
            assert 0 <= left < right <= SIDE
            assert 0 <= top < bottom <= SIDE
        answer = CLASSES[row["label"]]
        if "left" in row["question"]:
            assert answer == ("yes" if boxes[0][0] + SIZE / 2 < SIDE / 2 else "no")
    shares = np.bincount([row["label"] for row in rows], minlength=len(CLASSES)) / len(rows)
    assert shares.min() > 0.05


@pytest.mark.long
def test_two_processes_train_on_pairs(options, tmp_path):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.attention_examples=0"]
    run = train(tmp_path / "outputs", [*options, *two])
    assert json.loads((run.path / "metrics.json").read_text())["test"]["examples"] == 12


@pytest.mark.long
def test_a_sweep_goes_over_fusions(options, tmp_path):
    swept = ["model.fusion=cross,concat,late", "trainer.max_steps=2", "trainer.attention_examples=0", "resume=null"]
    assert main(["train", "-m", *options, *swept, "hydra.launcher.n_jobs=1", f"output_dir={tmp_path}"]) == 0
    assert len(list(tmp_path.rglob("metrics.json"))) == 3
