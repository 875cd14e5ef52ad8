"""What a run writes down: curves, HPARAMS, pictures, checkpoints, and what limits and schedules do to them."""

import json
from pathlib import Path

import pytest
import torch

from attnpred.cli import main

QUICK = ["model.width=8", "model.depth=1", "trainer.max_epochs=2", "trainer.limit_batches=6", "data.batch_size=8"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def train(cache, tmp_path, capsys):
    def run(*overrides: str) -> Path:
        place = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={cache}"]
        assert main(["train", *place, *QUICK, *overrides]) == 0
        return Path(capsys.readouterr().out.splitlines()[-1])

    return run


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def events(run: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run))
    accumulator.Reload()
    return accumulator


def test_curves_have_every_value_at_the_step_at_which_it_was_measured(train):
    run = train("trainer.log_every_steps=4")
    logged = lines(run)
    assert [line["step"] for line in logged if "train/loss" in line] == [4, 6, 8, 12]
    assert [line["step"] for line in logged if "val/loss" in line] == [6, 12]
    assert [line["epoch"] for line in logged if "val/loss" in line] == [1, 2]
    measured = next(line for line in logged if "train/loss" in line)
    assert {"train/accuracy", "lr", "grad_norm", "examples_per_second", "memory_gib", "time"} <= set(measured)
    header = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"step", "train/loss", "val/accuracy", "test/f1"} <= set(header)


def test_tensorboard_has_curves_config_pictures_and_hparams_with_the_real_result(train):
    run = train("optimizer=adamw", "optimizer.lr=0.02")
    shown = events(run)
    tags = shown.Tags()
    assert {"train/loss", "train/accuracy", "lr", "grad_norm", "examples_per_second", "memory_gib"} <= set(
        tags["scalars"]
    )
    assert set(tags["images"]) == {"val/examples", "test/confusion", "test/examples"}
    assert [event.step for event in shown.Images("val/examples")] == [0, 6, 12]
    # what chance reaches lies in the same chart, as a run of its own
    chance = events(run / "random")
    assert set(chance.Tags()["scalars"]) == {"attention/comprehensiveness", "attention/sufficiency"}
    assert [event.step for event in chance.Scalars("attention/sufficiency")] == [6, 12]
    assert {event.step for event in shown.Scalars("attention/sufficiency")} == {6, 12}
    assert not [tag for tag in tags["scalars"] if tag.startswith("attention/") and "random" in tag]
    text = shown.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "optimizer.lr: 0.02" in text
    result = json.loads((run / "metrics.json").read_text())
    (final,) = shown.Scalars("result/test/accuracy")
    assert final.value == pytest.approx(result["test"]["accuracy"])
    # the result must not bend the curve of the same metric
    assert [event.step for event in shown.Scalars("val/accuracy")] == [6, 12]
    session = shown.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    for chosen in (b"optimizer.lr", b"resnet_attention", b"digits", b"adamw"):
        assert chosen in session
    assert {"result/attention/sufficiency", "result/random/sufficiency"} <= set(tags["scalars"])
    assert "hp_metric" not in tags["scalars"]


def test_validation_by_steps_and_a_limit_of_steps(train):
    run = train("trainer.validate_every_steps=4", "trainer.max_steps=10")
    assert [line["step"] for line in lines(run) if "val/loss" in line] == [4, 8]
    assert json.loads((run / "metrics.json").read_text())["steps"] == 10
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 10


def test_a_run_too_short_for_a_validation_is_tested_with_its_last_weights(train):
    run = train("trainer.validate_every_steps=6", "trainer.max_steps=2")
    assert not (run / "checkpoints" / "best.ckpt").exists()
    result = json.loads((run / "metrics.json").read_text())
    assert "val" not in result
    assert 0 <= result["test"]["accuracy"] <= 1
    assert main(["evaluate", str(run)]) == 0


def test_accumulation_counts_optimizer_steps(train):
    assert json.loads((train("trainer.accumulate=3") / "metrics.json").read_text())["steps"] == 4


def test_training_stops_early_without_improvement(train):
    run = train("trainer.patience=1", "trainer.max_epochs=50", "optimizer.lr=1e-12")
    assert json.loads((run / "metrics.json").read_text())["epochs"] < 50


def test_last_checkpoint_is_written_by_steps_and_by_minutes(train, monkeypatch):
    from attnpred.training.callbacks.checkpoints import Checkpoints

    saved = []
    save = Checkpoints.save_last
    monkeypatch.setattr(Checkpoints, "save_last", lambda self, t: (saved.append(t.global_step), save(self, t)))
    train("checkpoint.every_steps=4", "checkpoint.every_minutes=null", "trainer.max_epochs=1")
    assert saved == [4, 5, 6]  # the second in case that the validation behind step 6 is interrupted
    saved.clear()
    train("checkpoint.every_minutes=1e-9", "trainer.max_epochs=1", "trainer.max_steps=3")
    assert saved[:3] == [1, 2, 3]


def test_best_checkpoint_is_the_best_by_the_monitored_metric(train):
    run = train("checkpoint.monitor=val/loss", "checkpoint.mode=min", "trainer.max_epochs=4")
    curve = {line["step"]: line["val/loss"] for line in lines(run) if "val/loss" in line}
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert curve[best["global_step"]] == min(curve.values())
    result = json.loads((run / "metrics.json").read_text())
    assert result["val"]["best"]["loss"] == pytest.approx(min(curve.values()))


def test_the_last_validation_is_selected_whatever_the_metric_says(train):
    # of equal ones the first would be chosen
    alike = ["optimizer.lr=1e-12", "trainer.max_epochs=3"]
    for overrides, epoch in ((alike, 1), ([*alike, "checkpoint.select=last"], 3)):
        run = train(*overrides)
        result = json.loads((run / "metrics.json").read_text())
        kept = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
        assert kept["global_step"] == result["val"]["best"]["step"] == epoch * result["steps"] // 3
    assert result["val"]["best"] == result["val"]["final"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(train):
    def weights(*overrides):
        state = torch.load(train(*overrides) / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        return torch.cat([value.flatten().float() for value in state.values()])

    first, again, other = weights("seed=1"), weights("seed=1"), weights("seed=2")
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_deterministic_and_debug_modes_train(train):
    assert (train("trainer.deterministic=true") / "metrics.json").is_file()
    assert (train("debug=fast") / "metrics.json").is_file()


def test_norms_and_biases_are_not_decayed_and_the_optimizer_is_fused(train):
    optimizer = torch.load(train() / "checkpoints" / "last.ckpt", weights_only=True)["optimizer_states"][0]
    assert [group["weight_decay"] for group in optimizer["param_groups"]] == [5e-4, 0.0]
    assert all(group["fused"] and group["nesterov"] for group in optimizer["param_groups"])


def test_gradient_norm_is_logged_without_clipping_too(train):
    run = train("trainer.clip_norm=null", "trainer.log_every_steps=3")
    assert all(line["grad_norm"] > 0 for line in lines(run) if "train/loss" in line)


def test_no_logger_leaves_metrics_alone(train):
    run = train("logger=none")
    assert not list(run.glob("events.out.*"))
    assert not (run / "metrics.csv").exists()
    assert (run / "metrics.jsonl").is_file()


def test_a_damaged_checkpoint_is_named(train, capsys):
    run = train()
    checkpoint = run / "checkpoints" / "best.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert main(["evaluate", str(run)]) == 2
    assert f"{checkpoint}: damaged" in capsys.readouterr().err
    checkpoint.unlink()
    assert main(["evaluate", str(run)]) == 0


def test_predictions_read_standard_input_line_by_line(train, tmp_path, capsys, monkeypatch):
    import io

    from PIL import Image

    image = tmp_path / "image.png"
    Image.new("L", (8, 8), 200).save(image)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{image}\n{image}\n".encode())))
    assert main(["predict", str(train()), "-"]) == 0
    assert [json.loads(line)["input"] for line in capsys.readouterr().out.splitlines()] == [str(image)] * 2


def test_an_input_that_is_no_image_is_named(train, tmp_path, capsys):
    assert main(["predict", str(train()), str(tmp_path / "none.png")]) == 2
    assert "none.png: no such file" in capsys.readouterr().err
