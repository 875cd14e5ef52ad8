"""An explainer that is trained on a run: its objective, its file, and that it learns to tell Shapley's values."""

import shutil

import numpy as np
import pytest
import torch

from attnpred.cli import main
from attnpred.config import compose
from attnpred.explain import base, fastshap
from attnpred.explain.removal import Removing
from attnpred.runs import checkpoint_files
from attnpred.runs.run import Run
from attnpred.training import fit_explainer
from tests.models.made import CASES, CLASSES, made, make_model
from tests.tasks.made import classification

QUICK = ["explainer.epochs=2", "explainer.pairs=1"]


@pytest.fixture(scope="module")
def explained(trained, tmp_path_factory):
    run = shutil.copytree(trained, tmp_path_factory.mktemp("explained") / "run")
    few = ["explainer.max_steps=20", "explainer.pairs=1"]
    assert main(["train", "explainer=fastshap", f"explainer.run={run}", *few]) == 0
    return run


def test_it_learns_what_sets_of_parts_say():
    spec, batch = made("text")
    model, task = make_model("transformer", spec), classification(CLASSES["text"])
    network, removing = fastshap.fresh(model), Removing(model, task)
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        found = fastshap.loss(network, removing, batch, 4)
        found.backward()
        optimizer.step()
        losses.append(found.item())
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:5])
    assert all(p.grad is None for p in model.parameters())
    choice = task.choose(model(batch))
    told = fastshap.told(network.eval(), batch, choice)
    alone = base.make("occlusion", model, task)(batch, choice)
    long = batch.input.lengths > 5
    assert torch.corrcoef(torch.stack((told[long].flatten(), alone[long].flatten())))[0, 1] > 0.5


def test_sets_are_of_all_sizes_and_come_with_the_rest():
    every = torch.zeros(500, 9, dtype=torch.bool)
    every[:, :6] = True
    every[0, 1:] = False  # a single part
    torch.manual_seed(0)
    one, rest = fastshap._sets(every, 1)
    assert torch.equal(one ^ rest, every)
    sizes = one[1:].sum(1)
    assert set(sizes.tolist()) == {1, 2, 3, 4, 5}
    # Shapley's kernel has 1/(k (6 - k)): small and large sets more often than the middle
    assert (sizes == 1).float().mean() == pytest.approx((1 / 5) / (2 / 5 + 2 / 8 + 1 / 9), abs=0.06)


@pytest.mark.parametrize(("name", "modality", "changes"), CASES[::6])
def test_every_model_has_one(name, modality, changes):
    spec, batch = made(modality)
    model, task = make_model(name, spec, **changes), classification(CLASSES[modality])
    if name in ("bert", "vision"):
        pytest.skip("is restored from its run directory")
    explainer = base.make("fastshap", model, task)
    explainer.network = fastshap.fresh(model).eval()
    found = explainer(batch, task.choose(model(batch)))
    assert found.shape == model(batch, need_attention=True).attention.importance.shape
    assert found.isfinite().all()
    assert (found < 0).any() or (found > 0).any()


def test_a_trained_one_explains_the_run(explained, tmp_path, capsys):
    moved = shutil.copytree(explained, tmp_path / "moved")  # the run directory holds all of it
    page = tmp_path / "page.html"
    flags = ["--limit", "4", "--explainer", "fastshap", "--output", str(page)]
    assert main(["explain", str(moved), *flags]) == 0
    assert "fastshap" in capsys.readouterr().err
    assert '"fastshap"' in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_training_that_was_left_goes_on_to_the_last_bit(trained, tmp_path, monkeypatch):
    other = shutil.copytree(trained, tmp_path / "other")
    assert main(["train", "explainer=fastshap", f"explainer.run={other}", *QUICK]) == 0
    whole = checkpoint_files.load(fastshap.folder(other) / checkpoint_files.LAST)
    run = Run(shutil.copytree(trained, tmp_path / "run"))
    options = compose.explainer_of(["explainer=fastshap", f"explainer.run={run.path}", *QUICK])

    class Died(BaseException):
        pass

    def die(message):
        raise Died

    monkeypatch.setattr(fit_explainer, "say", die)  # after the first epoch was saved
    with pytest.raises(Died):
        fit_explainer.fit(run, run.config(), options)
    monkeypatch.undo()
    with pytest.raises(Exception, match="has not ended"):
        fastshap.loaded(run.load_model())
    fit_explainer.fit(run, run.config(), options)
    again = checkpoint_files.load(fastshap.folder(run.path) / checkpoint_files.LAST)
    assert all(torch.equal(again["state_dict"][key], value) for key, value in whole["state_dict"].items())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["explainer=fastshap"], "explainer.run=: is missing"),
        (["explainer=fastshp", "explainer.run={run}"], "fastshp: no such explainer"),
        (["explainer=occlusion"], "needs no training"),
        (["explainer=fastshap", "explainer.run={run}", "model.width=8"], "model.width=8: an explainer is trained on"),
        (["explainer=fastshap", "explainer.run={run}", "explainer.epochs=0"], "explainer.epochs"),
    ],
)
def test_mistakes_are_one_line(trained, words, message, capsys):
    assert main(["train", *(word.format(run=trained) for word in words)]) == 2
    assert message in capsys.readouterr().err


def test_what_was_not_trained_is_told(trained, capsys):
    assert main(["explain", str(trained), "--limit", "2", "--explainer", "fastshap"]) == 2
    assert "none was trained on" in capsys.readouterr().err


def test_of_another_model_it_is_refused(explained, tmp_path):
    run = Run(shutil.copytree(explained, tmp_path / "run"))
    model = run.load_model()
    file = fastshap.folder(run.path) / checkpoint_files.LAST
    content = checkpoint_files.load(file)
    content["state_dict"] = dict(list(content["state_dict"].items())[1:])
    checkpoint_files.CheckpointFiles().save_checkpoint(content, file)
    with pytest.raises(Exception, match="is of another model"):
        fastshap.loaded(model)
