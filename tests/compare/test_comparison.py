"""Folding, statistics, conditions, and the tables made of them."""

import csv
import io
import json
import math

import numpy as np
import pytest
from scipy import stats

from attnpred.cli import main
from attnpred.compare import index, table, where
from attnpred.compare.comparison import compare, less_is_better
from attnpred.compare.groups import differences, fold
from attnpred.errors import UserError
from attnpred.statistics import PAIRED, WELCH, difference, holm, summary
from tests.compare.made import make_run


def found(tree, **how):
    how["conditions"] = where.conditions(how.get("conditions", ()))
    return compare(index.find([str(tree)]).records, **how)


@pytest.fixture
def tree(tmp_path):
    """Three rates, three seeds each, and a fourth of the best."""
    draw = np.random.default_rng(0)
    for lr, level in ((0.1, 0.8), (0.01, 0.7), (0.001, 0.75)):
        for seed in range(4 if lr == 0.1 else 3):
            make_run(tmp_path / f"{lr}-{seed}", {"optimizer.lr": lr}, seed=seed, value=level + draw.normal() / 100)
    return tmp_path


def test_intervals_of_shares_stay_within_0_and_1(tmp_path):
    shares = [0.55, 0.95, 0.93]
    one, plain = summary(shares, share=True), summary(shares)
    assert plain.high > 1
    assert 0 < one.low < one.mean == plain.mean < one.high < 1
    assert summary([1.0, 1.0], share=True).low == 1
    # near the middle, and with little spread, it is the usual one
    close = [0.500, 0.502, 0.504]
    assert summary(close, share=True).low == pytest.approx(summary(close).low, abs=1e-5)
    for seed, value in enumerate(shares):
        make_run(tmp_path / str(seed), seed=seed, value=value)
    results = found(tmp_path, metrics=["val/accuracy", "val/loss"]).rows[0].results
    assert results["val/accuracy"].high == pytest.approx(one.high)
    assert results["val/loss"].low < 0


def test_runs_that_differ_in_the_seed_alone_are_one_group(tree):
    rows = found(tree).rows
    assert [row.group.config["optimizer.lr"] for row in rows] == [0.1, 0.001, 0.01]
    assert [row.group.seeds for row in rows] == [(0, 1, 2, 3), (0, 1, 2), (0, 1, 2)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output_dir", "elsewhere"),
        ("data.cache_dir", "/tmp"),
        ("logger.wandb", True),
        ("resume", "auto"),
        ("checkpoint.every_minutes", 3.0),
        ("trainer.log_every_steps", 7),
        ("trainer.profile", True),
    ],
)
def test_what_changes_no_result_makes_no_group(tmp_path, name, value):
    make_run(tmp_path / "0")
    make_run(tmp_path / "1", {name: value}, seed=1)
    assert len(found(tmp_path).rows) == 1


@pytest.mark.parametrize("name", ["data.split_seed", "trainer.devices", "trainer.attention_examples", "data.rows"])
def test_what_may_change_a_result_does(tmp_path, name):
    make_run(tmp_path / "0")
    make_run(tmp_path / "1", {name: 7}, seed=1)
    assert found(tmp_path).options.shown == (name,)


def test_of_a_repeated_seed_the_newest_run_counts(tmp_path):
    make_run(tmp_path / "a", value=0.9, started="2026-02-01T00:00:00+00:00")
    make_run(tmp_path / "b", value=0.5, started="2026-01-01T00:00:00+00:00")
    make_run(tmp_path / "c", value=0.7, seed=1)
    compared = found(tmp_path)
    assert compared.rows[0].group.values("val/accuracy") == {0: 0.9, 1: 0.7}
    assert list(compared.left_out.items()) == [("whose seed and fold a newer run of the same config repeats", 1)]


def test_mean_deviation_and_interval():
    values = [0.81, 0.83, 0.86, 0.8]
    one = summary(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert [one.mean, one.deviation, one.low, one.high] == pytest.approx(
        [np.mean(values), np.std(values, ddof=1), low, high]
    )
    alone = summary([0.5])
    assert (alone.mean, alone.deviation, alone.low) == (0.5, None, None)
    assert summary([]) is None


def test_groups_that_share_seeds_are_tested_in_pairs():
    these, others = {0: 0.8, 1: 0.83, 2: 0.85, 7: 0.1}, {2: 0.8, 1: 0.81, 0: 0.79, 9: 0.9}
    one = difference(these, others)
    wanted = stats.ttest_rel([0.8, 0.83, 0.85], [0.79, 0.81, 0.8])
    interval = wanted.confidence_interval()
    assert (one.test, one.n) == (PAIRED, (3,))
    assert [one.p, one.low, one.high] == pytest.approx([wanted.pvalue, interval.low, interval.high])


def test_groups_that_share_none_are_tested_by_welch():
    these, others = {0: 0.8, 1: 0.83, 2: 0.85}, {2: 0.5, 3: 0.81, 4: 0.79, 9: 0.9}
    one = difference(these, others)
    wanted = stats.ttest_ind(list(these.values()), list(others.values()), equal_var=False)
    interval = wanted.confidence_interval()
    assert (one.test, one.n) == (WELCH, (3, 4))
    assert [one.p, one.low, one.high] == pytest.approx([wanted.pvalue, interval.low, interval.high])


@pytest.mark.parametrize("others", [{0: 0.7, 1: 0.7}, {5: 0.7, 6: 0.7}])
def test_without_deviation_there_is_no_p(others):
    one = difference({0: 0.8, 1: 0.8}, others)
    assert one.mean == pytest.approx(0.1)
    assert (one.low, one.p) == (None, None)


def test_one_seed_is_not_tested():
    assert difference({0: 0.8}, {0: 0.7}) is None
    assert difference({0: 0.8, 1: 0.9}, {2: 0.7}) is None


def test_several_tests_are_corrected():
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_a_group_is_tested_against_the_best_on_the_same_data(tmp_path):
    for data, offset in (("digits", 0.0), ("letters", 0.3)):
        for lr in (0.1, 0.2):
            for seed in range(3):
                value = 0.5 + offset + lr / 10 + seed * (lr + offset) / 50
                make_run(
                    tmp_path / f"{data}{lr}{seed}", {"data.name": data, "optimizer.lr": lr}, seed=seed, value=value
                )
    compared = found(tmp_path)
    assert [row.group.config["data"] for row in compared.rows] == ["letters"] * 2 + ["digits"] * 2
    assert [row.against for row in compared.rows] == [0, 0, 2, 2]
    assert "from #3" in table.text(compared)
    assert compared.notes[0].startswith("results on different data are not of one kind (digits, letters)")
    chosen = found(tmp_path, against=where.condition("optimizer.lr=0.1", "--against"))
    assert [row.against for row in chosen.rows] == [1, 1, 3, 3]


@pytest.mark.parametrize(
    ("condition", "rates"),
    [
        ("optimizer.lr<0.05", [0.001, 0.01]),
        ("optimizer.lr=1e-1", [0.1]),
        ("optimizer.lr!=0.1", [0.001, 0.01]),
        ("model=resnet_attention", [0.1, 0.001, 0.01]),
        ("val/accuracy>0.78", [0.1]),
        ("val/accuracy <= 0.72", [0.01]),
        ("attention/comprehensiveness>0.39", [0.1]),
        ("trainer.max_steps=null", [0.1, 0.001, 0.01]),
        ("logger.wandb=false", [0.1, 0.001, 0.01]),
    ],
)
def test_conditions(tree, condition, rates):
    assert [row.group.config["optimizer.lr"] for row in found(tree, conditions=[condition]).rows] == rates


def test_a_condition_on_a_result_takes_no_bad_seed_out_of_a_group(tmp_path):
    for seed, value in enumerate((0.9, 0.9, 0.6)):
        make_run(tmp_path / str(seed), seed=seed, value=value)
    (row,) = found(tmp_path, conditions=["val/accuracy>0.7"]).rows
    assert row.results["val/accuracy"].n == 3
    with pytest.raises(UserError, match="nothing to compare"):
        found(tmp_path, conditions=["val/accuracy>0.85"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model", "not a condition"),
        ("", "not a condition"),
        ("optimizer.lr<fast", "compares numbers"),
        ("optimizer.lrr=1", "did you mean optimizer.lr"),
        ("val/acuracy>0", "did you mean val/accuracy"),
    ],
)
def test_wrong_conditions_are_named(tree, text, expected):
    with pytest.raises(UserError, match=expected) as error:
        found(tree, conditions=[text])
    assert str(error.value).startswith("--where")


def test_sorting(tree):
    def rates(**how):
        return [row.group.config["optimizer.lr"] for row in found(tree, **how).rows]

    assert rates(sort="optimizer.lr") == [0.001, 0.01, 0.1]
    assert rates(sort="optimizer.lr", reverse=True) == [0.1, 0.01, 0.001]
    assert rates(metrics=["val/loss"]) == [0.1, 0.001, 0.01]
    assert rates(reverse=True) == [0.01, 0.001, 0.1]
    with pytest.raises(UserError, match="did you mean val/loss"):
        rates(metrics=["val/losss"])


def test_columns_are_what_was_asked_for_and_what_follows_is_not_shown_twice(tmp_path):
    for i, (width, depth) in enumerate(((8, 1), (16, 2), (32, 2))):
        make_run(tmp_path / str(i), {"model.width": width})
        config = (tmp_path / str(i) / "config.yaml").read_text()
        extra = f"optimizer: {{lr: 1, clip: {depth}}}\nolder: {i}\n" if i else ""
        (tmp_path / str(i) / "config.yaml").write_text(config + extra.replace("optimizer", "more"))
    options = found(tmp_path).options
    assert options.shown == ("model.width",)
    assert options.implied == ("older",)
    assert options.partial == ("more.lr", "more.clip")


def test_one_group_has_no_columns(tmp_path):
    make_run(tmp_path / "0")
    groups, _ = fold(index.find([str(tmp_path)]).records)
    assert differences(groups).all == ()
    assert "One seed each" in table.text(found(tmp_path))


def test_no_number_is_shown_and_comes_last(tmp_path):
    make_run(tmp_path / "0", {"optimizer.lr": 1.0}, value=math.nan)
    make_run(tmp_path / "1", {"optimizer.lr": 2.0}, value=0.1)
    compared = found(tmp_path)
    assert [row.group.config["optimizer.lr"] for row in compared.rows] == [2.0, 1.0]
    assert "nan" in table.text(compared)
    assert json.loads(table.as_json(compared))["groups"][1]["results"]["val/accuracy"]["mean"] is None


def test_every_form_tells_the_same(tree, capsys):
    def told(*flags):
        assert main(["compare", str(tree), *flags]) == 0
        return capsys.readouterr()

    plain, data = told(), json.loads(told("--json").out)
    rows = list(csv.DictReader(io.StringIO(told("--csv").out)))
    marked = [line.split(" | ") for line in told("--markdown").out.splitlines() if line.startswith("| ")]
    assert plain.err == ""
    for number, group in enumerate(data["groups"]):
        mean = group["results"]["val/accuracy"]["mean"]
        assert float(rows[number]["val/accuracy mean"]) == mean
        assert f"{mean:.4f} ± " in plain.out.splitlines()[number + 1]
        assert marked[number + 1][3].startswith(f"{mean:.4f} ± ")
        assert len(group["runs"]) == group["results"]["val/accuracy"]["n"] == len(rows[number]["runs"].split())
    assert data["groups"][1]["difference"]["test"] == "paired t-test"
    assert data["groups"][1]["difference"]["n"] == [3]
    assert "paired, n=3" in plain.out
    assert "Fewer than 5 seeds say little" in plain.out


def test_markdown_and_terminal_are_not_taken_over(tmp_path, capsys):
    for i, name in enumerate(("a|b", "<script>", "x\x1b[31m\ny")):
        make_run(tmp_path / str(i), {"data.name": name})
    assert main(["compare", str(tmp_path), "--markdown"]) == 0
    out = capsys.readouterr().out
    assert "a\\|b" in out
    assert "<script>" not in out
    assert "\x1b" not in out
    assert len([line for line in out.splitlines() if line.startswith("|")]) == 5


def test_what_is_left_out_is_said(tree, capsys):
    for status in ("running", "failed", "interrupted", "pruned"):
        make_run(tree / status, status=status)
    (make_run(tree / "half") / "metrics.json").write_text("{")
    (make_run(tree / "lost") / "metrics.json").unlink()
    assert main(["compare", str(tree), "--where", "optimizer.lr>0.05"]) == 0
    shown = capsys.readouterr()
    for line in (
        *(f"left out: 1 run whose status is {status}" for status in ("running", "failed", "interrupted", "pruned")),
        "left out: 1 run whose metrics.json cannot be read",
        "left out: 1 run without results",
        "left out: 6 runs that --where leaves out",
    ):
        assert line in shown.err.splitlines()
    assert len(shown.out.splitlines()) == 5


def test_runs_of_different_code_are_mentioned(tmp_path, capsys):
    for seed, code in enumerate("ab"):
        make_run(tmp_path / str(seed), seed=seed, code=code)
    assert main(["compare", str(tmp_path)]) == 0
    assert "trained by different versions of the code: 1" in capsys.readouterr().err


def test_a_place_without_runs_is_the_users_mistake(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["compare", str(tmp_path / "empty")]) == 2
    assert "empty: no run directory" in capsys.readouterr().err
    make_run(tmp_path / "run", status="failed")
    assert main(["compare", str(tmp_path)]) == 2
    assert "no finished run (left out: 1 whose status is failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "target", "less"),
    [
        ("test/rmse", "attnpred.tasks.regression.Regression", True),
        ("test/pearson", "attnpred.tasks.regression.Regression", False),
        ("test/loss", "attnpred.tasks.multilabel.Multilabel", True),
        ("test/sufficiency", "attnpred.tasks.classification.Classification", True),
        ("test/rmse", "elsewhere.tasks.Own", False),
    ],
)
def test_the_task_says_which_way_a_metric_is_better(metric, target, less):
    assert less_is_better(metric, [{"task._target_": target, "checkpoint.monitor": "val/accuracy"}]) is less


def test_folds_are_folded_as_seeds_are(tmp_path):
    for which, value in enumerate((0.7, 0.8, 0.9)):
        make_run(tmp_path / f"a{which}", {"data.folds": 3, "data.fold": which}, value=value)
        make_run(tmp_path / f"b{which}", {"data.folds": 3, "data.fold": which, "optimizer.lr": 7}, value=value - 0.2)
    compared = found(tmp_path)
    best, other = compared.rows
    assert compared.repeats == "folds"
    assert best.group.seeds == ("0, fold 0", "0, fold 1", "0, fold 2")
    assert best.results["val/accuracy"].mean == pytest.approx(0.8)
    assert (other.difference.test, other.difference.n) == ("paired t-test", (3,))
    assert compared.options.shown == ("optimizer.lr",)
    assert "deviation over folds" in table.text(compared)
    assert "Folds share most of the rows" in table.text(compared)


def test_a_fold_that_was_trained_twice_counts_once(tmp_path):
    for name, which, value in (("a", 0, 0.5), ("b", 0, 0.9), ("c", 1, 0.7)):
        started = f"2026-01-0{1 + (name == 'b')}T00:00:00+00:00"
        make_run(tmp_path / name, {"data.folds": 2, "data.fold": which}, value=value, started=started)
    compared = found(tmp_path)
    assert compared.rows[0].group.values("val/accuracy") == {"0, fold 0": 0.9, "0, fold 1": 0.7}
