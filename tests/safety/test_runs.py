"""A run directory from a stranger runs no code, and leads nowhere but into itself, outputs and cache."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from attnpred.cli import main
from attnpred.data import cache
from attnpred.runs.checkpoint_files import load
from attnpred.runs.run import Run
from tests.safety.made import Touch, edit_config, edit_json, files, pickled, save_checkpoint, trust

VERBS = {
    "predict": ["predict", "{run}", "{image}"],
    "evaluate": ["evaluate", "{run}"],
    "explain": ["explain", "{run}", "{image}"],
    "resume": ["resume", "{run}"],
    "init_from": ["train", "data=digits", "model.width=16", "model.init_from={run}"],
}


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "digit.png"
    Image.new("L", (8, 8), 100).save(file)
    return file


@pytest.fixture
def attacked(refused, image_run, picture, tmp_path, monkeypatch):
    """The answer of a verb that meets the spoilt run, which must be a refusal and write nothing."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")

    def run(verb, code_ran=None):
        edit_json(image_run / "run.json", lambda values: values.update(status="interrupted"))
        before = files(tmp_path)
        words = [word.format(run=image_run, image=picture) for word in VERBS[verb]]
        line = refused(*words)
        assert {file for file in files(tmp_path) - before if "home/.cache" not in str(file)} <= {image_run / ".lock"}
        assert code_ran is None or not code_ran.exists()
        return line

    return run


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", ["plain", "inside", "magic"])
def test_a_pickle_is_no_checkpoint(kind, verb, attacked, image_run, tmp_path):
    ran = tmp_path / "ran"
    if kind == "plain":
        content = pickled(ran)
    elif kind == "inside":
        content = {"state_dict": {"model.w": torch.zeros(1)}, "global_step": 1, "payload": Touch(ran)}
    else:
        content = b"PK\x03\x04" + pickled(ran)
    save_checkpoint(image_run, content)
    line = attacked(verb, ran)
    assert "best.ckpt" in line or "last.ckpt" in line
    assert "refused" in line or "damaged" in line


def test_the_attack_by_pickle_would_work(tmp_path):
    save_checkpoint_at = tmp_path / "x.ckpt"
    torch.save({"payload": Touch(tmp_path / "ran")}, save_checkpoint_at)
    os.close(torch.load(save_checkpoint_at, weights_only=False)["payload"])
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"state_dict": [], "global_step": 1},
        {"state_dict": {"model.w": "x"}, "global_step": 1},
        {"state_dict": {1: torch.zeros(1)}, "global_step": 1},
        {"state_dict": {"model.w": torch.zeros(1)}, "global_step": "x"},
        {"state_dict": {"model.w": torch.zeros(1)}, "global_step": 1},
        {"state_dict": {}, "global_step": 1},
    ],
    ids=lambda content: str(content)[:40],
)
@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_checkpoint_of_other_things_is_named(content, verb, attacked, image_run):
    save_checkpoint(image_run, content)
    line = attacked(verb)
    assert "holds no weights of a run" in line or "weights and config do not fit" in line


@pytest.mark.parametrize("content", ["{", "{}", '"ab"', "7", "[1]", "[" * 100_000, "\0"])
def test_damaged_checksums_are_no_traceback(content, attacked, image_run):
    (image_run / "checkpoints" / "checksums.json").write_text(content)
    assert "checkpoints" in attacked("predict")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "name",
    [
        "checkpoints",
        "checkpoints/last.ckpt",
        "run.json",
        "metrics.jsonl",
        "metrics.json",
        "random",
        "explanations",
    ],
)
def test_a_link_that_leads_out_is_not_followed(name, verb, attacked, image_run, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    place = image_run / name
    if place.exists():
        shutil.move(place, outside / place.name)
        place.symlink_to(outside / place.name)
    else:
        place.symlink_to(outside)
    assert f"{place.name}: a link that leads out of the run directory" in attacked(verb)
    assert (outside / "precious").read_text() == "mine"


@pytest.mark.parametrize("target", ["../../outside", "/etc/passwd", "nowhere/../../x", "loop"])
def test_every_kind_of_way_out_is_seen(target, attacked, image_run):
    (image_run / "loop").symlink_to(target)
    line = attacked("predict") if target != "loop" else None
    assert line is None or "a link that leads out" in line


def test_a_link_within_the_run_and_one_to_it_are_followed(image_run, picture, tmp_path, capsys):
    (image_run / "latest.ckpt").symlink_to("checkpoints/last.ckpt")
    (tmp_path / "newest").symlink_to(image_run)
    assert main(["predict", str(tmp_path / "newest"), str(picture)]) == 0


def test_what_is_no_file_is_refused(attacked, image_run):
    os.mkfifo(image_run / "metrics.csv")
    assert "metrics.csv: neither a file nor a directory" in attacked("evaluate")


def test_a_strangers_cache_is_not_written_to(image_run, tmp_path, monkeypatch, capsys):
    """A config that comes with a run may name any directory as its cache; the usual one takes its place."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for place in (tmp_path / "precious", Path("../../elsewhere"), "~/.ssh"):
        edit_config(image_run, data__cache_dir=str(place), output_dir=str(tmp_path / "precious"))
        assert Run.find(str(image_run)).config().data.cache_dir == cache.USUAL
        assert main(["evaluate", str(image_run)]) == 0
    assert not (tmp_path / "precious").exists()
    assert not (tmp_path / "home" / ".ssh").exists()
    assert (tmp_path / "home" / ".cache" / "attnpred" / cache.TAG).is_file()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / cache.TAG).write_text(cache.MARK.splitlines()[0])  # of another program
    edit_config(image_run, data__cache_dir=str(tmp_path / "precious"))
    assert Run.find(str(image_run)).config().data.cache_dir == cache.USUAL


def test_ones_own_cache_is_used_again(image_run, runs):
    assert Run.find(str(image_run)).config().data.cache_dir == str(runs.cache)


def test_a_resumed_run_writes_into_itself_alone(image_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    edit_json(image_run / "run.json", lambda values: values.update(status="interrupted"))
    edit_config(image_run, output_dir=str(tmp_path / "precious"), trainer__max_steps=3)
    before = {file for file in files(tmp_path) if not file.is_relative_to(image_run)}
    assert main(["resume", str(image_run)]) == 0
    after = {file for file in files(tmp_path) if not file.is_relative_to(image_run)}
    assert after == before
    assert json.loads((image_run / "run.json").read_text())["status"] == "done"


def test_a_strangers_server_is_sent_nothing(image_run, refused, monkeypatch):
    """With the metrics would go the password that MLflow takes from the environment."""
    edit_config(image_run, logger__mlflow=True, logger__tracking_uri="http://example.org:5000")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "logger.tracking_uri=http://example.org:5000: is what the run says" in refused("resume", image_run)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://example.org:5000")
    assert main(["resume", str(image_run)]) == 0  # it is done: nothing is sent


@pytest.mark.parametrize("uri", ["file:///tmp/x", "sqlite:////tmp/x.db", "/tmp/x", "https://name:word@example.org"])
def test_a_server_is_an_address(uri, image_run, refused):
    edit_config(image_run, logger__mlflow=True, logger__tracking_uri=uri)
    line = refused("resume", image_run)
    assert "logger.tracking_uri=" in line
    assert "word@" not in line


@pytest.mark.parametrize("name", ["spec.json", "run.json", "config.yaml"])
@pytest.mark.parametrize("content", ["", "{", "[]", "null", "7", '"x"', "{}", "\0\1\2", "[" * 100_000, "9" * 5000])
def test_a_damaged_file_is_named(name, content, refused, image_run, picture):
    (image_run / name).write_text(content)
    verb = ["resume", image_run] if name == "run.json" else ["predict", image_run, picture]
    assert f"error: {image_run / name}" in refused(*verb)


@pytest.mark.parametrize(("version", "told"), [("99.0.0", True), ("0.0.1", False), ("nonsense", False), (7, False)])
def test_a_newer_version_is_told(version, told, attacked, image_run):
    edit_json(image_run / "run.json", lambda values: values.update(attnpred=version))
    edit_config(image_run, model__invented=3)
    line = attacked("predict")
    assert "model.invented: no such option" in line
    assert ("made by attnpred 99.0.0, this is 0.1.0: install that one" in line) == told


def test_a_directory_that_is_no_run_and_a_run_without_checkpoint(refused, image_run, tmp_path, picture):
    (tmp_path / "empty").mkdir()
    for verb in ("predict", "evaluate", "explain", "resume"):
        more = [picture] if verb in ("predict", "explain") else []
        assert "no such directory" in refused(verb, tmp_path / "none", *more)
        assert "not a run directory" in refused(verb, tmp_path / "empty", *more)
        assert "no such directory" in refused(verb, picture, *more)
    for file in (image_run / "checkpoints").iterdir():
        file.unlink()
    for verb in ("predict", "evaluate", "explain"):
        more = [picture] if verb != "evaluate" else []
        assert "holds no checkpoint yet" in refused(verb, image_run, *more)
    (image_run / "spec.json").unlink()
    assert "has no spec.json" in refused("predict", image_run, picture)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("verb", ["predict", "evaluate", "explain", "init_from"])
def test_weights_that_are_no_numbers_answer_nothing(verb, value, attacked, image_run):
    content = load(image_run / "checkpoints" / "best.ckpt")
    name = next(name for name, weight in content["state_dict"].items() if weight.dim() > 1)
    content["state_dict"][name].view(-1)[0] = value
    save_checkpoint(image_run, content)
    line = attacked(verb)
    assert "best.ckpt: holds weights that are not finite numbers" in line
    assert name.removeprefix("model.") in line


def test_another_tokenizer_is_refused(text_run, refused):
    """Of the same size, it would read every text as others; runs of earlier versions do not say which theirs is."""
    file = text_run / "tokenizer.json"
    values = json.loads(file.read_text())
    vocabulary = values["model"]["vocab"]
    one, other = sorted(vocabulary, key=vocabulary.get)[-2:]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    file.write_text(json.dumps(values))
    for words in (["predict", text_run, "a text"], ["evaluate", text_run], ["explain", text_run, "a text"]):
        assert "tokenizer.json: is another tokenizer than the run was trained with" in refused(*words)
    for odd in (7, None, ["x"]):
        edit_json(text_run / "spec.json", lambda v, odd=odd: v["inputs"]["text"]["reader"].update(tokenizer=odd))
        assert "spec.json: " in refused("predict", text_run, "a text")
    edit_json(text_run / "spec.json", lambda v: v["inputs"]["text"]["reader"].pop("tokenizer"))
    assert main(["predict", str(text_run), "a text"]) == 0


def test_everything_a_run_writes_loads_as_tensors_and_plain_containers(runs):
    for run in (runs.text, runs.image):
        found = sorted(run.rglob("*.ckpt"))
        assert {file.name for file in found} >= {"best.ckpt", "last.ckpt"}
        for file in found:
            assert torch.load(file, weights_only=True)["state_dict"]
            assert load(file)["global_step"] in (1, 2)


def entry_of(runs):
    return next(entry for entry in runs.cache.glob("pixels-*") if entry.is_dir())


def test_prepared_data_holds_no_pickle(runs, tmp_path):
    """An array of objects, which numpy would unpickle, in place of the targets."""
    import numpy as np

    from attnpred.data.store import Store

    spoilt = shutil.copytree(entry_of(runs), tmp_path / "entry")
    np.save(spoilt / "targets.npy", np.array([Touch(tmp_path / "ran")], object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        Store(spoilt)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "sub/file"])
def test_a_manifest_names_files_of_its_own_entry(name, runs, tmp_path):
    spoilt = shutil.copytree(entry_of(runs), tmp_path / "entry")
    (tmp_path / "outside").write_text("")
    edit_json(spoilt / cache.MANIFEST, lambda values: values["files"].update({name: {"bytes": 0, "blake2b": ""}}))
    assert "is no file of it" in str(cache.damage(spoilt))


def test_init_from_reads_tensors_alone(image_run, tmp_path, capsys):
    given = ["train", "data=digits", "model.width=16", "model.depth=1", f"model.init_from={image_run}", "logger=none"]
    few = ["trainer.max_steps=1", "trainer.limit_batches=1", "trainer.attention_examples=0"]
    place = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={tmp_path / 'cache'}"]
    assert main([*given, *few, *place]) == 0
    trust(image_run, image_run / "checkpoints" / "best.ckpt")
