"""A run's results under worse input, and under attacks."""

import json

import pytest
import torch

from attnpred.cli import main
from attnpred.inference.robustness.attacks import PIXELS, Victim, fgsm, pgd, words
from attnpred.runs.run import Run
from tests.explain.conftest import trained  # noqa: F401

KINDS = ["noise", "blur", "occlusion", "shift", "fgsm", "pgd"]


def measured(run, capsys, *overrides):
    assert main(["evaluate", str(run), *overrides]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_images_under_everything(trained, capsys):  # noqa: F811
    few = ["trainer.limit_batches=1", "trainer.precision=32-true"]
    every = [word for kind in KINDS for word in ("--under", kind)]
    found = measured(trained, capsys, *every, "--severity", "1", "--severity", "5", *few)
    assert set(found["under"]) == {"noise", "blur", "occlusion", "shift", "fgsm", "pgd"}
    assert found["clean"]["accuracy"] == pytest.approx(measured(trained, capsys, *few)["accuracy"])
    for kind, severities in found["under"].items():
        assert set(severities) == {"1", "5"}
        worst = severities["5"]
        assert 0 <= worst["changed"] <= 1
        assert (worst["attention_moved"] is None) == (kind == "shift")
    attacked = found["under"]["fgsm"]["5"], found["under"]["pgd"]["5"]
    assert all(one["loss"] > found["clean"]["loss"] for one in attacked)
    assert attacked[1]["loss"] >= 0.98 * attacked[0]["loss"]
    again = measured(trained, capsys, "--under", "noise", "--severity", "5", *few)
    assert again["under"]["noise"]["5"] == found["under"]["noise"]["5"]


def test_texts_under_typos_and_other_words(text_run, capsys):
    found = measured(
        text_run.path, capsys, "--under", "typos", "--under", "words", "--severity", "4", "trainer.limit_batches=2"
    )
    attacked = found["under"]["words"]["4"]
    assert attacked["loss"] > found["clean"]["loss"]
    assert 0 < found["under"]["typos"]["4"]["attention_moved"] < 1
    assert main(["evaluate", str(text_run.path), "--under", "fgsm"]) == 2
    assert "--under fgsm: not for text; use typos" in capsys.readouterr().err


@pytest.fixture(scope="module")
def attacked(trained):  # noqa: F811
    run = Run(trained)
    return Victim(run.load_model(), run.task(), run.reader()), next(iter(run.data(run.config()).loader("val")))


def test_attacks_stay_within_their_bounds(attacked):
    victim, batch = attacked
    for attack in (fgsm, pgd):
        changed = attack(victim, batch, 3, torch.Generator().manual_seed(0)).input.pixels
        assert (changed - batch.input.pixels.float()).abs().max() <= PIXELS[2] + 1e-4
        assert changed.min() >= 0
        assert changed.max() <= 255
        assert not torch.equal(changed, batch.input.pixels.float())


def test_words_are_replaced_only_as_many_as_may_be(text_run):
    victim = Victim(text_run.load_model(), text_run.task(), text_run.reader())
    batch = next(iter(text_run.data(text_run.config()).loader("val"))).rows(torch.arange(8))
    changed = words(victim, batch, 3, torch.Generator()).input.tokens
    own = batch.input.own()
    counts = torch.full((8,), changed.shape[1]) if own is None else own.sum(1)
    assert ((changed != batch.input.tokens).sum(1) <= (0.1 * counts.float()).ceil()).all()
    assert (changed != batch.input.tokens).any()
