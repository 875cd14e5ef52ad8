import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from attnpred.console.tables import _width, clock, evaluation_table, final_table, human, rate
from attnpred.tasks.class_report import MOST_CLASSES, per_class, table

METRICS = {"accuracy": 0.8712, "f1": 0.87, "loss": 0.312, "calibration_error": 0.0213}
CLASSES = [
    {"name": "negative", "precision": 0.9, "recall": 0.85, "f1": 0.874, "support": 12500},
    {"name": "positive", "precision": 0.86, "recall": 0.9, "f1": 0.88, "support": 12500},
]
RESULT = {
    "val": {
        "best": {**METRICS, "step": 1250, "epoch": 3},
        "final": {**METRICS, "accuracy": 0.865, "step": 2500, "epoch": 6},
    },
    "test": {**METRICS, "examples": 25000, "classes": CLASSES, "confusion": [[10625, 1875], [1250, 11250]]},
    "parameters": 22_713_216,
    "examples_per_second": 1234.0,
    "tokens_per_second": 316_400.0,
    "peak_memory_gib": 3.21,
    "seconds": 245.2,
    "steps": 2500,
    "epochs": 6,
}


def of_task(details, split):
    return [table(details.get("classes") or [], split)]


def test_final_table_reads_like_this():
    expected = """
                     val best   val final        test
accuracy               0.8712      0.8650      0.8712
f1                     0.8700      0.8700      0.8700
loss                   0.3120      0.3120      0.3120
calibration error      0.0213      0.0213      0.0213
examples                    -           -      25,000
epoch                       3           6           -
step                    1,250       2,500           -

test by class   precision      recall          f1    examples
negative           0.9000      0.8500      0.8740      12,500
positive           0.8600      0.9000      0.8800      12,500

cost: 22.7 M parameters, 2,500 steps (6 epochs) in 4:05, 1,234 examples/s (316,400 tokens/s), 3.21 GiB at peak
"""
    assert final_table(RESULT, of_task) == expected.strip("\n")


@pytest.mark.parametrize("missing", ["val", "test", "parameters", "steps", "epochs", "seconds", "tokens_per_second"])
@pytest.mark.parametrize("how", ["absent", "null"])
def test_what_is_missing_is_left_out(missing, how):
    result = {key: value for key, value in RESULT.items() if key != missing} | (
        {missing: None} if how == "null" else {}
    )
    shown = final_table(result, of_task)
    trace = {"val": "val best", "test": "test", "seconds": "4:05", "tokens_per_second": "tokens"}.get(missing, missing)
    if missing not in ("steps", "epochs"):
        assert trace not in shown
    assert "None" not in shown
    assert "  (" not in shown
    assert "\n\n\n" not in shown


def test_nothing_to_say():
    assert final_table({}, of_task) == ""
    assert evaluation_table({}, "val", of_task) == ""


def test_metrics_of_other_tasks_are_shown():
    shown = evaluation_table({"loss": 1.5, "bleu": 31.25, "note": "text", "worst": float("nan")}, "val", of_task)
    assert [line.split() for line in shown.splitlines()] == [
        ["val"],
        ["loss", "1.5000"],
        ["bleu", "31.2500"],
        ["worst", "nan"],
    ]


def test_of_many_classes_the_worst_are_shown():
    many = [{"name": f"c{i}", "precision": 0.5, "recall": 0.5, "f1": i / 100, "support": 10} for i in range(99, -1, -1)]
    many.append({"name": "absent", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0})
    lines = evaluation_table({"classes": many}, "test", of_task).splitlines()
    assert lines[0].startswith(f"test, worst {MOST_CLASSES} of 101 classes by f1")
    assert [line.split()[0] for line in lines[1:]] == [f"c{i}" for i in range(MOST_CLASSES)]


@pytest.mark.parametrize("name", ["日本語", "e\u0301te\u0301", "a\nb", "\x1b[31mred", "long " * 20])
def test_strange_names_keep_the_columns(name):
    shown = evaluation_table({"classes": [{**CLASSES[0], "name": name}, CLASSES[1]]}, "test", of_task)
    assert len(shown.splitlines()) == 3
    assert len({_width(line) for line in shown.splitlines()}) == 1
    assert "\x1b" not in shown


@pytest.mark.parametrize("seed", range(5))
def test_per_class_agrees_with_sklearn(seed):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 6, 200), rng.integers(1, 7, 200)  # 0 is never predicted, 6 never true
    confusion = np.zeros((8, 8), int)  # 7 is neither
    np.add.at(confusion, (true, predicted), 1)
    expected = precision_recall_fscore_support(true, predicted, labels=range(8), zero_division=0)
    rows = per_class(confusion, [str(i) for i in range(8)])
    assert [row["name"] for row in rows] == [str(i) for i in range(8)]
    for key, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [row[key] for row in rows] == pytest.approx(values.tolist())
    assert all(type(row["support"]) is int and type(row["f1"]) is float for row in rows)


def test_per_class_wants_a_name_for_every_class():
    with pytest.raises(ValueError, match="argument"):
        per_class(np.eye(3), ["a", "b"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00"), (7, "0:07"), (59.6, "1:00"), (65, "1:05"), (3599.7, "1:00:00"), (7384, "2:03:04")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (831, "831"),
        (3.27, "3.3"),
        (999.7, "1.0 k"),
        (1234, "1.2 k"),
        (316_400, "316 k"),
        (22_713_216, "22.7 M"),
    ],
)
def test_human(count, text):
    assert human(count) == text


def test_rate():
    assert [rate(value) for value in (0.853, 9.0, 12.4, 1234.0)] == ["0.85", "9", "12", "1,234"]
