"""A checkpoint or record of another form than a run saves: one line, and the run stays as it was."""

import json
import shutil

import pytest
import torch

from attnpred.cli import main
from attnpred.runs import checkpoint_files
from tests.safety.made import QUICK, edit_json, trust

OFTEN = ["checkpoint.every_steps=1", "trainer.max_steps=3", "trainer.limit_batches=3", "trainer.patience=5"]
KINDS = {
    "adamw": ["optimizer=adamw", "optimizer.ema=0.9"],
    "muon": ["optimizer=muon", "optimizer.lr=1e-3"],
    "sgd": ["optimizer=sgd", "optimizer.lr=1e-2"],
}
DELETED = object()


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory):
    """A run of each optimizer that stands before its last steps."""
    place = tmp_path_factory.mktemp("interrupted")
    found = {}
    for kind, options in KINDS.items():
        own = [f"output_dir={place / kind}", f"data.cache_dir={place / 'cache'}", "data=digits"]
        assert main(["train", *own, *QUICK, *OFTEN, *options, "logger=csv"]) == 0
        (described,) = (place / kind).rglob("run.json")
        edit_json(described, lambda values: values.update(status="interrupted"))
        text = (described.parent / "config.yaml").read_text()
        (described.parent / "config.yaml").write_text(text.replace("max_steps: 3", "max_steps: 5"))
        found[kind] = described.parent
    return found


def content_of(run):
    return {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.name != ".lock"}


def put(content, path, value):
    """Sets, or deletes, what stands at a path."""
    *above, last = path
    for part in above:
        content = content[part]
    if value is DELETED:
        del content[last]
    else:
        content[last] = value


def change(run, path, value):
    for file in (run / "checkpoints").glob("*.ckpt"):
        content = torch.load(file, weights_only=True) if path else value
        if path:
            put(content, path, value)
        torch.save(content, file)
    trust(run, run / "checkpoints" / "last.ckpt")


@pytest.fixture
def unresumed(refused, interrupted, tmp_path, monkeypatch):
    """The answer of `resume`, which must change nothing."""

    def run(kind, spoil):
        place = shutil.copytree(interrupted[kind], tmp_path / "run")
        spoil(place)
        before = content_of(place)
        line = refused("resume", place)
        assert content_of(place) == before
        return line

    return run


LOOPS = ("loops", "fit_loop")
BATCHES = (*LOOPS, "epoch_loop.batch_progress")
DICE = ("position", "dice")
MOMENTS = ("optimizer_states", 0)
RATES = ("lr_schedulers", 0)
STOPPING = ("callbacks", "EarlyStopping{'monitor': 'val/accuracy', 'mode': 'max'}")
WEIGHT = "model.layers.0.feed.up.weight"
SPOILT = {
    "no position": (("position",), DELETED),
    "position a list": (("position",), []),
    "no dice": (DICE, []),
    "dice a number": (DICE, 3),
    "dice of another kind": ((*DICE, 0, "numpy"), ["PCG64", torch.zeros(3), 1, 0, 0.0]),
    "short dice": ((*DICE, 0, "torch"), torch.zeros(3, dtype=torch.uint8)),
    "float dice": ((*DICE, 0, "torch"), torch.zeros(5056)),
    "python's dice": ((*DICE, 0, "python"), [3, "x", None]),
    "no loader": (("position", "loader"), DELETED),
    "loader at a text": (("position", "loader", "position"), "x"),
    "loader before its start": (("position", "loader", "position"), -1),
    "records a list": (("position", "records"), ["metrics.jsonl"]),
    "records below nothing": (("position", "records", "metrics.jsonl"), -5),
    "records of a text": (("position", "records", "metrics.jsonl"), "x"),
    "batches of nothing": (("position", "batch_size"), 0),
    "rate of nothing": (("position", "rate"), 0.0),
    "rate no number": (("position", "rate"), float("nan")),
    "no monitor": (("monitor",), DELETED),
    "monitor a text": (("monitor",), "x"),
    "seen by none": (("monitor", "seen"), []),
    "seen of texts": (("monitor", "seen", 0, "loss"), ["x"]),
    "seen of other lengths": (("monitor", "seen", 0, "loss"), [1.0] * 99),
    "window of one": (("monitor", "window"), [1]),
    "latest of texts": (("monitor", "latest"), {"lr": "x"}),
    "result a list": (("monitor", "result"), []),
    "result of texts": (("monitor", "result", "val"), {"best": {"accuracy": "x"}}),
    "scores of two": (
        ("monitor", "result", "attention"),
        {"removal": "mask", "examples": 1, "scores": {"a": {"b": [1.0, 2.0]}}},
    ),
    "seconds a text": (("monitor", "seconds"), "x"),
    "no callbacks": (("callbacks",), DELETED),
    "callbacks a list": (("callbacks",), []),
    "a callback a number": (("callbacks", "Checkpoints"), 7),
    "best a text": (("callbacks", "Checkpoints", "best"), "x"),
    "guard without a count": (("callbacks", "Guard", "met"), DELETED),
    "patience a text": ((*STOPPING, "wait_count"), "x"),
    "best score of many": ((*STOPPING, "best_score"), torch.zeros(2)),
    "no stopping state": (STOPPING, {"x": 1}),
    "unknown reason to stop": ((*STOPPING, "stopping_reason"), 99),
    "no loops": (("loops",), DELETED),
    "no fit loop": (LOOPS, DELETED),
    "loop a number": (LOOPS, 7),
    "no batches": (BATCHES, DELETED),
    "batches of texts": ((*BATCHES, "current"), {"ready": "x"}),
    "batches below nothing": ((*BATCHES, "current", "ready"), -1),
    "batches that can do more": ((*BATCHES, "current", "reset"), 5),
    "epochs a text": ((*LOOPS, "epoch_progress"), "x"),
    "steps missing": ((*LOOPS, "epoch_loop.automatic_optimization.optim_progress", "optimizer"), {}),
    "stepped batches": ((*LOOPS, "epoch_loop.state_dict"), {}),
    "validation's batches": ((*LOOPS, "epoch_loop.val_loop.batch_progress"), {"total": 3}),
    "loaders a text": ((*LOOPS, "state_dict"), {"combined_loader": "x"}),
    "no optimizer": (("optimizer_states",), DELETED),
    "optimizers none": (("optimizer_states",), []),
    "optimizer a text": (MOMENTS, "x"),
    "groups missing": ((*MOMENTS, "param_groups"), DELETED),
    "groups of none": ((*MOMENTS, "param_groups"), []),
    "group of other parameters": ((*MOMENTS, "param_groups", 0, "params"), [0]),
    "rate of a text": ((*MOMENTS, "param_groups", 0, "lr"), "x"),
    "first rate missing": ((*MOMENTS, "param_groups", 0, "initial_lr"), DELETED),
    "state a list": ((*MOMENTS, "state"), []),
    "state of an unknown": ((*MOMENTS, "state", 999), {}),
    "state of a text": ((*MOMENTS, "state", 0), "x"),
    "no schedule": (("lr_schedulers",), []),
    "schedule a text": (RATES, "x"),
    "schedule of other rates": ((*RATES, "base_lrs"), [0.1]),
    "schedule that can do more": ((*RATES, "step"), 5),
    "schedule at a text": ((*RATES, "last_epoch"), "x"),
    "schedule's functions": ((*RATES, "lr_lambdas"), [{"x": 1}]),
    "epoch a text": (("epoch",), "x"),
    "step below nothing": (("global_step",), -1),
    "version a number": (("pytorch-lightning_version",), 7),
    "version a text": (("pytorch-lightning_version",), "x"),
    "no averages": (("trained_weights",), DELETED),
    "averages a list": (("trained_weights",), []),
    "task a list": (("task",), [1]),
    "what another task learned": (("task",), {"thresholds": [0.5]}),
    "no weights": (("state_dict",), DELETED),
    "weights more": (("state_dict", "model.other"), torch.zeros(1)),
    "all another": ((), [1, 2]),
    "all nothing": ((), {}),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_checkpoint_of_another_form_is_refused_before_anything_is_changed(spoilt, unresumed):
    path, value = SPOILT[spoilt]
    line = unresumed("adamw", lambda run: change(run, path, value))
    assert "last.ckpt: " in line
    assert "restore it" in line or "do not use it" in line


@pytest.mark.parametrize("odd", ["shape", "missing", "whole numbers", "nan", "inf"])
@pytest.mark.parametrize("part", ["state_dict", "trained_weights"])
def test_weights_of_another_form(odd, part, unresumed):
    def spoil(run):
        weights = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)[part]
        name, value = next((name, value) for name, value in weights.items() if value.dim() == 2)
        others = {
            "shape": torch.zeros(3, 3),
            "missing": DELETED,
            "whole numbers": torch.zeros(value.shape, dtype=torch.int64),
            "nan": torch.full_like(value, float("nan")),
            "inf": torch.full_like(value, float("inf")),
        }
        change(run, (part, name), others[odd])

    assert f"last.ckpt: cannot be gone on from ({part}." in unresumed("adamw", spoil)


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("adamw", MOMENTS, "exp_avg"),
        ("adamw", MOMENTS, "step"),
        ("sgd", MOMENTS, "momentum_buffer"),
        ("muon", (*MOMENTS, "muon"), "momentum_buffer"),
        ("muon", (*MOMENTS, "adamw"), "exp_avg_sq"),
    ],
)
@pytest.mark.parametrize("odd", ["missing", "shape", "text", "nan", "more"])
def test_moments_of_another_form(kind, path, name, odd, unresumed):
    if (kind, odd) == ("sgd", "missing"):
        pytest.skip("SGD makes it anew")
    values = {"missing": DELETED, "shape": torch.zeros(3, 3, 3), "text": "x", "nan": torch.tensor(float("nan"))}
    where = (*path, "state", 0, "other" if odd == "more" else name)
    line = unresumed(kind, lambda run: change(run, where, values.get(odd, 1.0)))
    assert "last.ckpt: cannot be gone on from (optimizer_states[0]." in line


def test_momentum_that_one_parameter_lacks(unresumed):
    """Made anew where none has any: the fused step makes all of them, or none."""
    line = unresumed("sgd", lambda run: change(run, (*MOMENTS, "state", 1), DELETED))
    assert "last.ckpt: cannot be gone on from (optimizer_states[0].state[1].momentum_buffer" in line


DESCRIBED = {
    "turns": ["x", 7, {}, [1], [{}], [{"turn": "x"}], [{"turn": 1}], None],
    "pruned": [7, [], {}],
    "resumed": [7, [1], "x"],
    "overrides": ["x", [1], [[]], {}],
    "status": [7, None, []],
    "error": [7, []],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in DESCRIBED.items() for value in values])
def test_a_description_of_another_form(name, value, unresumed):
    line = unresumed("sgd", lambda run: edit_json(run / "run.json", lambda values: values.update({name: value})))
    assert "run.json: does not describe a run" in line
    assert name in line
    assert "restore the file" in line


@pytest.mark.parametrize("garbage", ["x", "[1]", "7", "null", "[" * 100_000, "9" * 5000, "\x00"])
def test_records_that_cannot_be_read(garbage, unresumed):
    def spoil(run):
        lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        (run / "metrics.jsonl").write_bytes(b"".join([garbage.encode() + b"\n", *lines]))

    line = unresumed("sgd", spoil)
    assert "metrics.jsonl, line 1: no object of JSON; remove the line, or restore the file" in line


@pytest.mark.parametrize(
    "content", ["{", "{}", '"ab"', "7", "[1]", "[null]", "[" * 100_000, "\0", "[" + "9" * 5000 + "]"]
)
def test_checksums_of_another_form(content, unresumed):
    line = unresumed("sgd", lambda run: (run / "checkpoints" / "checksums.json").write_text(content))
    assert "checksums.json: " in line
    assert "restore the file" in line


SPEC = {
    "two inputs": lambda v: v["inputs"].update(other=next(iter(v["inputs"].values()))),
    "inputs a list": lambda v: v.update(inputs=[]),
    "no inputs": lambda v: v.update(inputs={}),
    "target a list": lambda v: v.update(target=[]),
    "no classes": lambda v: v.update(target={}),
    "classes of numbers": lambda v: v.update(target={"classes": [1, 2]}),
    "classes a text": lambda v: v.update(target={"classes": "abc"}),
    "modality a number": lambda v: v["inputs"]["image"]["spec"].update(modality=7),
    "modality unknown": lambda v: v["inputs"]["image"]["spec"].update(modality="os"),
    "height a text": lambda v: v["inputs"]["image"]["spec"].update(height="x"),
    "height of nothing": lambda v: v["inputs"]["image"]["spec"].update(height=0),
    "height a float": lambda v: v["inputs"]["image"]["spec"].update(height=8.5),
    "mean a number": lambda v: v["inputs"]["image"]["spec"].update(mean=1),
    "mean of texts": lambda v: v["inputs"]["image"]["spec"].update(mean=["x"]),
    "mean of nothing": lambda v: v["inputs"]["image"]["spec"].update(mean=[]),
    "no spec": lambda v: v["inputs"]["image"].update(spec=None),
    "no reader": lambda v: v["inputs"]["image"].update(reader=7),
}


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
@pytest.mark.parametrize("odd", SPEC)
def test_a_specification_of_another_form(odd, verb, interrupted, refused, tmp_path):
    run = shutil.copytree(interrupted["sgd"], tmp_path / "run")
    edit_json(run / "spec.json", SPEC[odd])
    more = [__file__] if verb == "predict" else []
    line = refused(verb, run, *more)
    assert str(run) in line
    assert "restore" in line


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", '{"val": 3}', '{"val": {"best": 7}}', "[" * 100_000, "9" * 5000]
)
def test_a_result_of_another_form_is_no_matter(content, interrupted, tmp_path, capsys):
    """It is written anew at the end."""
    run = shutil.copytree(interrupted["sgd"], tmp_path / "run")
    (run / "metrics.json").write_text(content)
    assert main(["resume", str(run)]) == 0
    assert json.loads((run / "metrics.json").read_text())["steps"] == 5


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_run_saved_itself_is_gone_on_from(kind, interrupted, tmp_path, capsys):
    run = shutil.copytree(interrupted[kind], tmp_path / "run")
    assert main(["resume", str(run)]) == 0
    assert checkpoint_files.load(run / "checkpoints" / "last.ckpt")["global_step"] == 5
