import json

from scripts import kept, recipes


def test_results_are_kept_and_shown(tmp_path, monkeypatch):
    reached = iter([0.90, 0.91, 0.50, 0.80, 0.81, 0.70, 0.71])
    monkeypatch.setattr(
        recipes,
        "train",
        lambda name, seed, config, args: {"test": next(reached), "validation": 0.93, "seconds": 120.0, "steps": 10},
    )
    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- recipes -->\n<!-- /recipes -->\n")
    monkeypatch.setattr(recipes, "RESULTS", tmp_path / "recipes.json")
    readme = tmp_path / "README.md"
    readme.write_text(page.read_text())
    monkeypatch.setattr(kept, "BENCHMARKS", page)
    monkeypatch.setattr(recipes.tables, "README", readme)
    monkeypatch.setattr("sys.argv", ["recipes", "--only", "cifar10_resnet", "--seeds", "0", "1"])
    recipes.main()
    known = json.loads((tmp_path / "recipes.json").read_text())
    assert known["cifar10_resnet"]["seeds"] == [0, 1]
    shown = page.read_text()
    assert "| `cifar10_resnet` | 90.50 ± 0.71 | 93.00 ± 0.00 | 0, 1 | 2.0 min |" in shown
    assert "runs at once" not in shown
    assert "| `cifar10_resnet` | 90.50 ± 0.71 | 2.0 min |" in readme.read_text()
    # with other settings it is no recipe any more
    monkeypatch.setattr("sys.argv", ["recipes", "--only", "cifar10_resnet", "--seeds", "0", "--", "optimizer.lr=1"])
    recipes.main()
    assert json.loads((tmp_path / "recipes.json").read_text()) == known
    # runs beside one another say nothing of time
    monkeypatch.setattr(
        "sys.argv", ["recipes", "--only", "cifar10_vit", "sst2_minilm", "--seeds", "0", "1", "--at-once", "3"]
    )
    recipes.main()
    shown = page.read_text()
    assert shown.count(" |  |\n") == 2
    assert ", 3 runs at once, " in shown
    assert "| `cifar10_resnet` | 90.50 ± 0.71 | 93.00 ± 0.00 | 0, 1 | 2.0 min |" in shown
