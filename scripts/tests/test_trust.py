import json
from types import SimpleNamespace

import pytest

from attnpred.config import compose
from scripts import kept, trust


@pytest.mark.parametrize("name", trust.SETUPS)
def test_setups_compose(name):
    setup = trust.SETUPS[name]
    compose.compose([*setup.overrides, *setup.loss])


def test_what_was_measured_is_kept_and_shown(tmp_path, monkeypatch):
    """Runs and their explanations are played by numbers that tell seeds and losses apart."""

    def train(overrides):
        seed = int(overrides[-1].partition("=")[2])
        better = any("attention_loss=faithful" in o for o in overrides)
        return {
            "run": f"{seed}{better}",
            "test": {"accuracy": 0.9 - 0.02 * seed},
            "attention_seconds": 0.6 * (1 + seed),
            "seconds": 60.0,
        }

    fitted = []

    def asked(command, **options):
        if "train" in command:
            fitted.append(command[-1])
            return SimpleNamespace(stdout="")
        value = 0.5 if command[4].endswith("True") else 0.25
        scores = {"racu": [value, 0, 1], "insertion": [0.75, 0, 1], "pointing": [value, 0, 1]}
        story = {
            "faithfulness": {
                "scores": dict.fromkeys((*trust.EXPLAINERS, "random"), scores),
                "cascade": {"occlusion": [0.5, 0.1]},
            },
            "explainers": [{"name": n, "milliseconds": 2.0} for n in trust.EXPLAINERS],
        }
        assert command[command.index("--twin") + 1] == ("1" if command[4][0] == "0" else "0") + command[4][1:]
        return SimpleNamespace(stdout=json.dumps(story))

    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- trust -->\n<!-- /trust -->\n")
    monkeypatch.setattr(trust.launch, "train", train)
    monkeypatch.setattr(trust, "subprocess", SimpleNamespace(run=asked, PIPE=None))
    monkeypatch.setattr(trust, "RESULTS", tmp_path / "trust.json")
    monkeypatch.setattr(kept, "BENCHMARKS", page)
    monkeypatch.setattr("sys.argv", ["trust", "--only", "evidence_text", "--seeds", "0", "1"])
    trust.main()
    shown = page.read_text()
    start = "| `evidence_text` | not trained for itself | 89.00 ± 1.41 | attention"
    assert f"{start} | 0.250 ± 0.000 | 0.750 ± 0.000 | 25.0 ± 0.0 |  | 2 |" in shown
    how = "model.attention_loss=faithful model.attention_weight=0.5"
    assert f"| `evidence_text` | {how} | 89.00 ± 1.41 | attention | 0.500 ± 0.000" in shown
    assert "|  |  |  | occlusion | 0.250 ± 0.000 | 0.750 ± 0.000 | 25.0 ± 0.0 | 0.10 ± 0.00 | 2 |" in shown
    assert len(fitted) == 4
    assert "seeds 0, 1; measuring its attention took 2.0% of the training time at most;" in shown
    assert json.loads((tmp_path / "trust.json").read_text())["evidence_text"]["seeds"] == [0, 1]
