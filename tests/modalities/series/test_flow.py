"""A forecaster from a table to its answers: trained, measured beside forecasters that learn nothing, explained."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import attnpred
from attnpred.cli import main
from attnpred.training.learner import Learner
from tests.died import Died, check_same, curves, dies_at, the_run, train
from tests.modalities.series.made import PERIOD, waves, write_table, write_waves

QUICK = [
    *("model=linear", "data=series", "data.history=24", "task.horizon=6", "optimizer.lr=3e-2", "logger.csv=true"),
    *("trainer.max_epochs=3", "trainer.precision=32-true", "trainer.attention_examples=8", f"task.season={PERIOD}"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("series")
    write_waves(root / "waves.csv")
    return root


@pytest.fixture(scope="module")
def run(home):
    where = [f"output_dir={home / 'outputs'}", f"data.cache_dir={home / 'cache'}"]
    assert main(["train", *QUICK, f"data.source={home / 'waves.csv'}", *where]) == 0
    (path,) = [file.parent for file in (home / "outputs").rglob("run.json")]
    return path


def test_its_errors_stand_beside_those_of_forecasters_that_learn_nothing(run):
    test = json.loads((run / "metrics.json").read_text())["test"]
    assert test["mse"] < 0.5 * min(test["naive_mse"], test["drift_mse"])
    assert test["examples"] == 40 - 6 + 1
    assert {one["name"] for one in test["variables"]} == {"up", "late"}
    assert len(test["steps"]["mse"]) == 6
    assert 0.5 < test["coverage"] <= 1
    assert (run / "forecasts.png").is_file()


def test_naive_errors_are_those_of_the_same_windows(run, home):
    """Computed anew, from the table itself."""
    values = waves()
    train_part = values[:320]
    even = (values - train_part.mean(0)) / train_part.std(0)
    windows = [(even[t - 24 : t], even[t : t + 6]) for t in range(360, 395)]
    test = json.loads((run / "metrics.json").read_text())["test"]
    naive = np.mean([(history[-1:] - future) ** 2 for history, future in windows])
    assert test["naive_mse"] == pytest.approx(naive, rel=1e-4)
    seasonal = np.mean([np.abs(history[-PERIOD:][:6] - future) for history, future in windows])
    assert test["seasonal_naive_mae"] == pytest.approx(seasonal, rel=1e-4)
    steps = np.arange(1, 7)[:, None]
    drift = [history[-1] + steps * (history[-1] - history[0]) / 23 - future for history, future in windows]
    assert test["drift_mse"] == pytest.approx(np.mean(np.square(drift)), rel=1e-4)


def test_evaluate_agrees(run, capsys):
    result = json.loads((run / "metrics.json").read_text())["test"]
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("mse", "mae", "mase", "smape", "coverage", "naive_mse"):
        assert found[name] == pytest.approx(result[name], rel=1e-5), name


def test_a_file_is_answered_with_interval_times_and_attention(run, home, tmp_path, capsys):
    file = write_waves(tmp_path / "new.csv", 100)
    capsys.readouterr()
    assert main(["predict", str(run), str(file)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["times"][0] == "2024-01-05 04:00"
    assert [len(row) for row in answer["forecast"].values()] == [6, 6]
    for name, values in answer["forecast"].items():
        for value, ends in zip(values, answer["interval"][name], strict=True):
            assert ends["low"] < value < ends["high"]
    assert answer["attention"].keys() == {"up", "late"}
    assert sum(map(sum, answer["attention"].values())) == pytest.approx(1)
    assert len(answer["moments"]) == 24
    assert answer["moments"][-1] == "2024-01-05 03:00"
    assert answer["history"]["up"] == pytest.approx(waves(100)[-24:, 0].tolist(), abs=1e-5)
    truth = waves(106)[100:]  # the noise differs, the waves do not
    assert np.abs(np.array(list(answer["forecast"].values())).T - truth).mean() < 0.6


def test_from_python_arrays_and_columns_are_read_too(run):
    values = waves(60)
    found = attnpred.load(str(run))
    as_rows = found.predict(values.tolist())[0]
    assert "times" not in as_rows
    assert found.predict(values)[0]["forecast"] == as_rows["forecast"]
    drawn = found.predict(values)._repr_html_()
    assert "data:image/png;base64," in drawn


def test_it_is_explained_and_measured(run, capsys):
    capsys.readouterr()
    explainers = ["attention", "input_x_gradient", "occlusion"]
    words = [word for name in explainers for word in ("--explainer", name)]
    for removal in ("mask", "last", "blur"):
        assert main(["explain", str(run), "--json", "--limit", "6", "--removal", removal, *words]) == 0
        story = json.loads(capsys.readouterr().out)
        assert story["faithfulness"]["removal"] == removal
        example = story["examples"][0]
        assert example["grid"] == [2, 24]
        assert example["rows"] == ["up", "late"]
        assert all(len(one) == 48 for one in example["maps"].values())
    assert main(["explain", str(run), "--limit", "3"]) == 0
    page = capsys.readouterr().out.strip().splitlines()[-1]
    assert "late" in Path(page).read_text(encoding="utf-8")


def test_what_it_looks_at_decides(run):
    scores = json.loads((run / "metrics.json").read_text())["attention"]["scores"]
    assert scores["attention"]["comprehensiveness"][0] > scores["random"]["comprehensiveness"][0]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (lambda: {"date": [], "up": [], "late": []}, "empty"),
        (lambda: {"up": [1.0] * 30, "late": [1.0] * 30}, "has no column date"),
    ],
)
def test_other_columns_are_refused(rows, said, run):
    from attnpred.errors import BadInput

    with pytest.raises(BadInput, match=said):
        attnpred.load(str(run)).predict(rows())


def test_another_step_is_refused_in_one_line(run, tmp_path, capsys):
    from datetime import timedelta

    from tests.modalities.series.made import clock

    file = write_waves(tmp_path / "slow.csv", 60, date=clock(60, timedelta(minutes=30)))
    assert main(["predict", str(run), str(file)]) == 2
    assert "its moments are 1800s apart, the model learned from steps of 3600s" in capsys.readouterr().err
    short = write_waves(tmp_path / "short.csv", 20)
    assert main(["predict", str(run), str(short)]) == 2
    assert "has 20 moments, the model reads 24" in capsys.readouterr().err


def test_quantiles_hold_what_they_should(home, tmp_path, capsys):
    where = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={home / 'cache'}"]
    several = ["task.quantiles=[0.1,0.5,0.9]", f"data.source={home / 'waves.csv'}"]
    assert main(["train", *QUICK, *several, *where]) == 0
    run = the_run(tmp_path)
    test = json.loads((run.path / "metrics.json").read_text())["test"]
    assert 0.4 < test["coverage"] <= 1
    assert 0 < test["crps"] < test["naive_mae"]
    capsys.readouterr()
    assert main(["predict", str(run.path), str(home / "waves.csv")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["quantiles"]["up"]["0.5"] == answer["forecast"]["up"]


def test_what_lacks_is_left_out_of_the_errors(home, tmp_path):
    values = waves()[:, 0].tolist()
    values[::17] = [None] * len(values[::17])
    file = write_waves(tmp_path / "holes.csv", up=values)
    where = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={tmp_path / 'cache'}"]
    assert main(["train", *QUICK, f"data.source={file}", *where]) == 0
    test = json.loads((the_run(tmp_path).path / "metrics.json").read_text())["test"]
    assert 0 < test["mse"] < test["naive_mse"]


def test_several_series_with_what_is_known_ahead_and_of_the_whole(tmp_path, capsys):
    """A jump that only a column known ahead tells; the two series differ in their level, which is a column too."""
    random = np.random.default_rng(0)
    columns = {"shop": [], "day": [], "sales": [], "holiday": [], "size": []}
    for shop in ("a", "b"):
        free = (random.random(160) < 0.2).astype(float)
        columns["shop"] += [shop] * 160
        columns["day"] += list(range(160))
        columns["sales"] += (free * 3 + 0.05 * random.normal(size=160)).tolist()
        columns["holiday"] += free.tolist()
        columns["size"] += [1.0 if shop == "a" else 2.0] * 160
    file = write_table(tmp_path / "shops.csv", columns)
    words = [
        *("data.columns=[sales]", "data.series_column=shop", "data.known_columns=[holiday]", "data.time_column=day"),
        *("data.static_columns=[size]", "data.batch_size=8", "trainer.max_epochs=6", "data.history=12"),
    ]
    where = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={tmp_path / 'cache'}"]
    assert main(["train", *QUICK, f"data.source={file}", *words, *where]) == 0
    run = the_run(tmp_path)
    test = json.loads((run.path / "metrics.json").read_text())["test"]
    assert test["mse"] < 0.2 * test["naive_mse"]
    assert test["examples"] == 2 * (16 - 6 + 1)
    ahead = {name: values[:40] for name, values in columns.items()}
    ahead["sales"] = [*ahead["sales"][:34], *[None] * 6]
    new = write_table(tmp_path / "new.csv", ahead)
    capsys.readouterr()
    assert main(["predict", str(run.path), str(new)]) == 0
    said = np.array(json.loads(capsys.readouterr().out)["forecast"]["sales"])
    assert (said > 1.5).tolist() == [bool(v) for v in columns["holiday"][34:40]]
    write_table(tmp_path / "late.csv", {name: values[:34] for name, values in columns.items()})
    assert main(["predict", str(run.path), str(tmp_path / "late.csv")]) == 2
    assert "holiday must be given for the 6 moments to come" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.slow
def test_a_sweep_goes_over_horizons(home, tmp_path):
    swept = ["task.horizon=2,4", "hydra.launcher.n_jobs=1", "trainer.max_epochs=1", f"output_dir={tmp_path}"]
    where = [f"data.source={home / 'waves.csv'}", f"data.cache_dir={home / 'cache'}"]
    assert main(["train", "-m", *QUICK, *where, *swept]) == 0
    found = [json.loads(one.read_text())["test"] for one in tmp_path.rglob("metrics.json")]
    assert sorted(len(one["steps"]["mse"]) for one in found) == [2, 4]


def test_it_goes_on_to_the_last_bit(home, tmp_path, monkeypatch):
    often = ["checkpoint.every_minutes=1e-9", "trainer.log_every_steps=2", "trainer.max_epochs=2", "resume=auto"]
    more = ["data.batch_size=64", "model.dropout=0.1", "optimizer.ema=0.9", "trainer.accumulate=2"]
    overrides = [*QUICK, f"data.source={home / 'waves.csv'}", *often, *more, f"data.cache_dir={home / 'cache'}"]
    whole = train(tmp_path / "whole", overrides)
    for call in (3, 4):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, "training_step", call)
            with pytest.raises(Died):
                main(["train", *overrides, f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *overrides, f"output_dir={tmp_path / 'died'}"]) == 0
    run = the_run(tmp_path / "died")
    check_same(run, whole)
    assert curves(run) == curves(whole)


@pytest.mark.long
def test_two_processes_measure_what_one_does(home, tmp_path, capfd):
    where = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={home / 'cache'}"]
    two = ["trainer=ddp_cpu", "trainer.devices=2", f"data.source={home / 'waves.csv'}", "trainer.max_epochs=1"]
    assert main(["train", *QUICK, *two, *where]) == 0
    run = the_run(tmp_path)
    test = json.loads((run.path / "metrics.json").read_text())["test"]
    assert test["examples"] == 35
    capfd.readouterr()
    assert main(["evaluate", str(run.path)]) == 0
    found = json.loads(capfd.readouterr().out)
    for name in ("mse", "coverage", "mase"):
        assert found[name] == pytest.approx(test[name], rel=1e-4)


def test_a_run_directory_is_read_where_it_was_copied_to(run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "copy")
    values = waves(60)
    there, here = (attnpred.load(str(one)).predict(values)[0]["forecast"] for one in (run, copied))
    assert there == here
