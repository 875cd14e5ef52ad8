import json

import pytest

from attnpred.config import compose
from scripts import ablation, kept


@pytest.mark.parametrize("change", ablation.CHANGES)
def test_every_change_composes(change):
    compose.compose(["experiment=cifar10_resnet", *ablation.CHANGES[change]])


def test_changes_are_compared_seed_by_seed_and_within_one_setting(tmp_path, monkeypatch):
    asked = []

    def train(overrides):
        asked.append(overrides)
        seed = next((int(one[5:]) for one in overrides if one.startswith("seed=")), 0)
        attends = "model.attention=self" in overrides
        # a few steps alone are slower, and slower still with every run before
        rate = 100.0 - len(asked) if "optimizer.epochs=2" in overrides else 200.0
        return {
            "val": {"best": {"accuracy": 0.9 + 0.01 * seed - 0.02 * attends}},
            "examples_per_second": rate / (1 + attends),
        }

    def measure(*arguments):
        monkeypatch.setattr("sys.argv", ["ablation", *arguments])
        ablation.main()
        return page.read_text()

    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- ablation -->\n<!-- /ablation -->\n")
    monkeypatch.setattr(ablation.launch, "train", train)
    monkeypatch.setattr(ablation, "RESULTS", tmp_path / "ablation.json")
    monkeypatch.setattr(kept, "BENCHMARKS", page)
    change = "self-attention after the last stage"
    narrow = ("--seeds", "0", "1", "--", "model.width=16")
    monkeypatch.setattr(ablation, "CHANGES", {name: ablation.CHANGES[name] for name in (ablation.RECIPE, change)})
    shown = measure(*narrow)
    recipe = "| the recipe |  | 90.50 ± 0.71 |  |  |"
    assert recipe in shown
    assert f"| {change} | `model.attention=self` | 88.50 ± 0.71 | -2.00 ± 0.00 | 2.00 x |" in shown
    assert "\nTimes: " in shown
    assert "With `model.width=16`; seeds 0, 1; " in shown
    assert all(overrides[:4] == [*ablation.BASE, "model.width=16"] for overrides in asked)
    assert measure("--only", change, *narrow) == shown
    assert len(asked) == 6
    # a change measured in another setting is not compared with this recipe, nor the others with another recipe
    assert change not in measure("--only", change, "--seeds", "0")
    assert recipe in page.read_text()
    shown = measure("--only", ablation.RECIPE, "--seeds", "0")
    assert "| the recipe |  | 90.00 |  |  |" in shown
    assert f"| {change} | `model.attention=self` | 88.00 | -2.00 | 2.00 x |" in shown
    # what shared a machine with others has no times of its own, and gets them afterwards
    shown = measure("--at-once", "2", "--seeds", "0")
    untimed = f"| {change} | `model.attention=self` | 88.00 | -2.00 |\n"
    assert "time" not in shown.lower()
    assert untimed in shown
    assert untimed in measure("--steps", "7", "--only", change)
    before = len(asked)
    shown = measure("--steps", "7")
    assert all("trainer.limit_batches=7" in overrides for overrides in asked[before:])
    assert len(asked) == before + 6
    known = json.loads((tmp_path / "ablation.json").read_text())
    rates = {name: known[name]["speed"]["examples_per_second"] for name in known}
    assert rates == {ablation.RECIPE: 100 - (before + 2), change: (100 - (before + 1)) / 2}
    assert f"| {change} | `model.attention=self` | 88.00 | -2.00 | 1.98 x |" in shown
