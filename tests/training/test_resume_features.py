"""Whatever a recipe switches on, a run that dies again and again ends as one that was left alone, to the last bit."""

import pytest
import torch

from attnpred.cli import main
from attnpred.training.learner import Learner
from tests.data.made import make_image_source, make_text_source
from tests.died import Died, check_same, curves, dies_at, the_run, train
from tests.models.made import make_encoder

pytestmark = pytest.mark.slow

SMALL = ["model.width=8", "model.depth=2", "model.heads=2"]
IMAGES = ["data=digits", "data.batch_size=64", "trainer.limit_batches=11"]
TEXTS = ["data=imdb", "data.batch_size=8", "data.max_length=24", "data.tokenizer.vocab_size=200"]
CASES = {
    "muon, average, cut and pasted images, small ones first, mirrored answers": [
        *("model=resnet_attention", *IMAGES, "model.width=8", "model.depth=1", "model.frozen_levels=1"),
        *("optimizer=muon", "optimizer.hold_norm=true", "optimizer.ema=0.9", "optimizer.schedule=wsd"),
        "optimizer.warmup=0.2",
        *("data.augment.crop=1", "data.augment.flip=true", "data.augment.cutout=2", "data.augment.cutmix=1"),
        *("data.augment.small_share=0.5", "data.augment.small_side=6"),
        *("data.test_flip=true", "trainer.clip_norm=null", "trainer.accumulate=3", "trainer.validate_every_steps=4"),
    ],
    "sgd, blended images, dropout, recomputed, answers that agree": [
        *("model=transformer", *IMAGES, *SMALL, "model.dropout=0.2", "model.attention_dropout=0.2"),
        *("model.recompute=true", "optimizer=sgd", "optimizer.schedule=onecycle", "optimizer.layer_decay=0.8"),
        *("data.augment.mixup=0.3", "task.label_smoothing=0.1", "task.consistency=0.5", "task.seen_masked=0.5"),
        *("trainer.patience=50", "trainer.accumulate=2"),
    ],
    "adamw, dropped words, batches by tokens, scores, spellings, predicted attention": [
        *("model=transformer", *TEXTS, *SMALL, "model.dropout=0.2", "model.attention_loss=faithful"),
        "task.seen_masked=0.5",
        *("model.ngrams=2", "model.letters=4", "data.token_budget=200"),
        *("data.word_dropout=0.2", "optimizer.ema=0.9", "trainer.validate_every_steps=5"),
    ],
    "texts as a stream": [
        *("model=transformer", *TEXTS, *SMALL, "model.dropout=0.2", "data.stream=true", "data.stream_buffer=20"),
        *("data.val_split=test", "data.word_dropout=0.2", "trainer.accumulate=2"),
    ],
    "photographs decoded at each use": [
        *("model=resnet_attention", "data=cifar10", "data.batch_size=8", "model.width=8", "model.depth=1"),
        *("data.size=12", "data.decode=always", "data.augment.crop=1", "data.augment.random_crop=0.4"),
        *("data.augment.rand_ops=1", "data.augment.jitter=0.2", "data.augment.erasing=0.5", "trainer.accumulate=2"),
    ],
    "adapters beside an encoder": [
        *("model=bert", *TEXTS, "model.lora_rank=2", "model.recompute=true", "model.dropout=0.2"),
        *("model.attention_dropout=0.2", "model.attention_loss=entropy", "trainer.accumulate=2"),
    ],
    "adapters whose ranks are shared out": [
        *("model=bert", *TEXTS, "model.adapter=adalora", "model.adapter_size=2", "model.dropout=0.2"),
        "trainer.accumulate=2",
    ],
    "a backbone, its lowest levels frozen": [
        *("model=vision", *IMAGES, "model.source=torchvision/shufflenet_v2_x0_5", "model.pretrained=false"),
        *("model.resize=32", "model.frozen_levels=12", "optimizer.layer_decay=0.8", "optimizer.ema=0.9"),
        *("model.dropout=0.2", "data.augment.flip=true", "trainer.accumulate=2"),
    ],
    "an encoder, its lowest levels frozen": [
        *("model=bert", *TEXTS, "model.frozen_levels=1", "optimizer.layer_decay=0.5", "trainer.patience=50"),
        *("optimizer.ema=0.9", "data.word_dropout=0.1", "trainer.accumulate=2", "trainer.validate_every_steps=3"),
    ],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make_text_source(root / "imdb")
    make_image_source(root / "cifar10")
    make_encoder(root / "bert-base-uncased")
    return root


@pytest.mark.parametrize("case", CASES)
def test_it_goes_on_to_the_last_bit(case, home, tmp_path, monkeypatch):
    if "adapters" in case:
        pytest.importorskip("peft", reason="peft is not installed")
    monkeypatch.setenv("ATTNPRED_DATA", str(home))
    # saved after every step that may be saved after, and killed among batches that make none
    often = ["checkpoint.every_minutes=1e-9", "trainer.log_every_steps=2", "trainer.max_epochs=2", "resume=auto"]
    exact = ["trainer.precision=32-true", "trainer.attention_examples=4", "logger.csv=true"]
    overrides = [*CASES[case], *often, *exact, f"data.cache_dir={home / 'cache'}"]
    whole = train(tmp_path / "whole", overrides)
    for call in (3, 6, 5):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, "training_step", call)
            with pytest.raises(Died):
                main(["train", *overrides, f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *overrides, f"output_dir={tmp_path / 'died'}"]) == 0
    run = the_run(tmp_path / "died")
    assert len(run.description()["resumed"]) == 3
    check_same(run, whole)
    assert curves(run) == curves(whole)
    for file in run.path.rglob("*.ckpt"):
        torch.load(file, weights_only=True)
