import pytest

from attnpred import compose
from scripts import ablation, kept


@pytest.mark.parametrize("change", ablation.CHANGES)
def test_every_change_composes(change):
    compose.compose(["experiment=cifar10_resnet", *ablation.CHANGES[change]])


def test_changes_are_compared_seed_by_seed_and_within_one_setting(tmp_path, monkeypatch):
    asked = []

    def train(overrides):
        asked.append(overrides)
        seed = int(overrides[-1].partition("=")[2])
        accuracy = 0.9 + 0.01 * seed - 0.02 * ("model.attention=self" in overrides)
        return {"val": {"best": {"accuracy": accuracy}}, "seconds": 60.0 * (1 + ("model.attention=self" in overrides))}

    def measure(*arguments):
        monkeypatch.setattr("sys.argv", ["ablation", *arguments])
        ablation.main()
        return page.read_text()

    page = tmp_path / "README.md"
    page.write_text("<!-- ablation -->\n<!-- /ablation -->\n")
    monkeypatch.setattr(ablation.launch, "train", train)
    monkeypatch.setattr(ablation, "RESULTS", tmp_path / "ablation.json")
    monkeypatch.setattr(kept, "README", page)
    change = "self-attention after the last stage"
    narrow = ("--seeds", "0", "1", "--", "model.width=16")
    monkeypatch.setattr(ablation, "CHANGES", {name: ablation.CHANGES[name] for name in (ablation.RECIPE, change)})
    shown = measure(*narrow)
    assert "| the recipe |  | 90.50 ± 0.71 |  | 1.0 min |" in shown
    assert f"| {change} | `model.attention=self` | 88.50 ± 0.71 | -2.00 ± 0.00 | 2.00 x |" in shown
    assert "With `model.width=16`; seeds 0, 1; " in shown
    assert all(overrides[:3] == [*ablation.BASE, "model.width=16"] for overrides in asked)
    assert measure("--only", change, *narrow) == shown
    assert len(asked) == 6
    # a change measured in another setting is not compared with this recipe, nor the others with another recipe
    assert change not in measure("--only", change, "--seeds", "0")
    assert "| the recipe |  | 90.50 ± 0.71 |  | 1.0 min |" in page.read_text()
    shown = measure("--only", ablation.RECIPE, "--seeds", "0")
    assert "| the recipe |  | 90.00 |  | 1.0 min |" in shown
    assert f"| {change} | `model.attention=self` | 88.00 | -2.00 | 2.00 x |" in shown
