"""Several tasks in one run: trained, resumed, swept and shared out like any; each answer has its own attention."""

import json

import pytest

import attnpred
from attnpred.cli import main
from attnpred.runs.checkpoint_files import TASK
from attnpred.training.learner import Learner
from tests.died import Died, check_same, dies_at, the_run, train, weights
from tests.training.test_tasks import LABELS, ROWS, SMALL, file, told  # noqa: F401

TEXT = "the red film was great"


@pytest.fixture(scope="module")
def options(file):  # noqa: F811
    own = [f"data.source={file}", f"data.cache_dir={file.parent / 'cache'}"]
    carved = ["data.test_fraction=0.2", "data.val_fraction=0.2"]
    targets = "data.targets={number: [score, length], labels: [red, green, blue]}"
    return [*SMALL, "task=several", "data=texts", targets, "task.weighting=uncertainty", *own, *carved]


@pytest.fixture(scope="module")
def whole(options, tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), options)


def test_the_dataset_tells_the_tasks_and_the_run_keeps_them(whole):
    members = whole.config().task.members
    assert {name: one.column for name, one in members.items()} == {
        "number": ["score", "length"],
        "labels": list(LABELS),
    }
    result = json.loads((whole.path / "metrics.json").read_text())
    assert whole.config().checkpoint.monitor == "val/weighted_sum"
    summed = result["test"]["number/r2"] + result["test"]["labels/mean_average_precision"]
    assert result["test"]["weighted_sum"] == pytest.approx(summed, rel=1e-5)
    assert set(result["attention"]["answers"]) == {"number", "labels"}
    learned = weights(whole, "best.ckpt")[TASK]
    assert len(set(learned["balance"]["logs"])) == 2
    assert learned["members"]["labels"]["thresholds"] != [0.5] * 3


def test_it_is_evaluated_as_it_was_tested(whole, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(whole.path)]) == 0
    found, known = told(capsys), json.loads((whole.path / "metrics.json").read_text())["test"]
    measures = [name for name, value in known.items() if isinstance(value, float)]
    assert {"number/r2", "labels/loss"} <= set(measures)
    assert {name: found[name] for name in measures} == pytest.approx({n: known[n] for n in measures}, rel=1e-4)
    assert found["answers"]["labels"]["examples"] == ROWS // 5


def test_each_answer_comes_with_its_own_attention(whole, capsys):
    capsys.readouterr()
    assert main(["predict", str(whole.path), TEXT]) == 0
    answers = told(capsys)["answers"]
    assert set(answers["number"]["numbers"]) == {"score", "length"}
    assert set(answers["labels"]["probabilities"]) == set(LABELS)
    maps = [answers[name]["attention"] for name in ("number", "labels")]
    assert all(sum(one) == pytest.approx(1, abs=1e-5) for one in maps)
    assert maps[0] != maps[1]
    by_api = attnpred.load(whole.path).predict(TEXT, explainer="occlusion")
    assert by_api[0]["answers"]["number"]["words"] == TEXT.split()
    assert by_api[0]["answers"]["number"]["attention"] != by_api[0]["answers"]["labels"]["attention"]
    assert "number: " in repr(by_api)
    assert by_api._repr_html_().count("the") >= 2


def test_each_answer_is_explained_and_measured(whole, tmp_path, capsys):
    capsys.readouterr()
    flags = ["--explainer", "attention", "--explainer", "occlusion"]
    assert main(["explain", str(whole.path), "--split", "test", "--limit", "4", "--json", *flags]) == 0
    story = told(capsys)
    for example in story["examples"]:
        assert [one["name"] for one in example["answers"]] == ["number", "labels"]
        for one in example["answers"]:
            assert {name: len(values) for name, values in one["maps"].items()} == dict.fromkeys(
                ("attention", "occlusion"), len(example["words"])
            )
    measured = story["faithfulness"]["answers"]
    scores = [measured[name]["scores"]["occlusion"]["comprehensiveness"] for name in ("number", "labels")]
    assert scores[0] != scores[1]
    page = tmp_path / "page.html"
    assert main(["explain", str(whole.path), "--limit", "4", "--output", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_it_goes_on_to_the_last_bit(options, whole, tmp_path, monkeypatch):
    for method, call in (("training_step", 5), ("test_step", 1)):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, method, call)
            with pytest.raises(Died):
                main(["train", *options, f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *options, f"output_dir={tmp_path / 'died'}"]) == 0
    run = the_run(tmp_path / "died")
    check_same(run, whole)
    for name in ("last.ckpt", "best.ckpt"):
        assert weights(run, name)[TASK] == weights(whole, name)[TASK]


@pytest.mark.long
def test_two_processes_keep_the_same_weights_of_losses(options, tmp_path, capsys):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.attention_examples=0", "task.weighting=gradient_norms"]
    run = train(tmp_path / "outputs", [*options, *two])
    capsys.readouterr()
    known = json.loads((run.path / "metrics.json").read_text())["test"]
    assert main(["evaluate", str(run.path)]) == 0
    found = told(capsys)
    assert found["number/mae"] == pytest.approx(known["number/mae"], rel=1e-4)
    assert len(set(weights(run)[TASK]["balance"]["logs"])) == 2


@pytest.mark.long
def test_a_sweep_goes_over_the_weights_of_a_task(options, tmp_path, capsys):
    members = (
        "task.members={a: {task: {_target_: attnpred.tasks.regression.Regression, loss: mse}, column: score}, "
        "b: {task: {_target_: attnpred.tasks.regression.Regression, loss: mae}, column: length}}"
    )
    swept = ["task.members.a.weight=1,2", "hydra.launcher.n_jobs=1", "trainer.attention_examples=0", "resume=null"]
    assert main(["train", "-m", *options, members, *swept, f"output_dir={tmp_path}"]) == 0
    found = [json.loads(one.read_text()) for one in tmp_path.rglob("metrics.json")]
    assert len({one["test"]["a/mae"] for one in found}) == 2
