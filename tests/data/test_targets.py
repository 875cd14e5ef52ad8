"""What a task reads of a row: classes, numbers and sets of labels, from one column or several."""

import json

import numpy as np
import pytest

from attnpred.data.class_target import Classes, ClassTarget
from attnpred.data.labels_target import LabelSet, LabelsTarget
from attnpred.data.number_target import Numbers, NumberTarget
from attnpred.errors import UserError
from attnpred.modalities.text.data import TextData
from tests.data.made import text_config, text_rows

ROWS = 60


def made(tmp_path, **columns):
    """A file of texts and these columns."""
    texts, _ = text_rows(ROWS)
    values = zip(texts, *columns.values(), strict=True)
    lines = [json.dumps(dict(zip(("text", *columns), row, strict=True))) for row in values]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(lines))
    return file


def data(tmp_path, target, columns, *, cache="cache", **changes):
    options = {"test_split": None, "val_fraction": 0.2, "test_fraction": 0.2, **changes}
    known = {key: options.pop(key) for key in ("reader", "target_spec") if key in options}
    return TextData(text_config(made(tmp_path, **columns), tmp_path / cache, **options), target, **known)


def targets(data, split="train"):
    """Row -> target, of a split."""
    found = {}
    for batch in data.loader(split):
        [values] = batch.targets.values()
        found |= dict(zip(batch.ids.tolist(), values.tolist(), strict=True))
    return found


def everything(data):
    return {row: value for split in ("train", "val", "test") for row, value in targets(data, split).items()}


def class_target(*columns):
    return ClassTarget(columns, "data.label_column")


def number_target(*columns):
    return NumberTarget(columns, "data.targets.number")


def labels_target(*columns):
    return LabelsTarget(columns, "data.targets.labels")


NUMBERS = np.random.default_rng(0).normal(5, 3, (ROWS, 2))


def test_a_column_of_numbers_is_standardised_by_the_train_part_alone(tmp_path):
    values = NUMBERS[:, 0].tolist()
    made = data(tmp_path, number_target("score"), {"score": values})
    train = sorted(targets(made))
    spec = made.target_spec
    assert spec.names == ("score",)
    assert spec.mean == pytest.approx([np.mean([values[row] for row in train])])
    assert spec.deviation == pytest.approx([np.std([values[row] for row in train])])
    assert spec.mean != pytest.approx([np.mean(values)], abs=1e-3)
    for row, [found] in everything(made).items():
        assert found * spec.deviation[0] + spec.mean[0] == pytest.approx(values[row], abs=1e-4)
    assert np.mean(list(targets(made).values())) == pytest.approx(0, abs=1e-5)
    assert len(everything(made)) == ROWS


@pytest.mark.parametrize("form", ["columns", "list"])
def test_several_numbers_are_columns_or_lists(form, tmp_path):
    if form == "columns":
        target, columns = number_target("a", "b"), {"a": NUMBERS[:, 0].tolist(), "b": NUMBERS[:, 1].tolist()}
    else:
        target, columns = number_target("both"), {"both": NUMBERS.tolist()}
    made = data(tmp_path, target, columns)
    spec = made.target_spec
    assert spec.names == (("a", "b") if form == "columns" else ("both[0]", "both[1]"))
    for row, found in everything(made).items():
        expected = (NUMBERS[row] - np.array(spec.mean)) / np.array(spec.deviation)
        assert found == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_models_own_standardisation_is_used_at_evaluation(tmp_path):
    trained = data(tmp_path, number_target("score"), {"score": NUMBERS[:, 0].tolist()})
    known = {"reader": trained.reader, "target_spec": trained.target_spec}
    other = (10 * NUMBERS[:, 0]).tolist()
    evaluated = data(tmp_path, number_target("score"), {"score": other}, cache="other", **known)
    (mean,), (deviation,) = trained.target_spec.mean, trained.target_spec.deviation
    for row, [found] in targets(evaluated, "test").items():
        assert found == pytest.approx((other[row] - mean) / deviation, abs=1e-4)
    two = data(tmp_path, number_target("a", "b"), {"a": other, "b": other}, cache="two", **known)
    with pytest.raises(UserError, match=r"number=a,b holds 2 numbers a row, the model answers 1; name as many"):
        two.loader("test")


WHERE = r"^data\.train_split=train: row 7 "
REMEDY = r"; choose a split whose every row has a target \(in rows\.jsonl\)$"
MISSING = {
    "class": (class_target("of"), ["a", "b"], None, r"has no label \(-1\)"),
    "number": (number_target("of"), [1.5, 2.5], None, r"has no finite number in of \(nan\)"),
    "infinite number": (number_target("of"), [1.5, 2.5], float("inf"), r"has no finite number in of \(inf\)"),
    "numbers": (number_target("of"), [[1, 2], [3, 4]], [1, None], r"has no finite number in of\[1\] \(nan\)"),
    "labels": (labels_target("of"), [["a"], ["b"]], None, r"has no labels \(null\); an empty list stands for none"),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_missing_target_is_refused_with_its_row_or_skipped(kind, tmp_path, capsys):
    target, values, missing, said = MISSING[kind]
    values = values * (ROWS // 2)
    values[7] = missing
    with pytest.raises(UserError, match=WHERE + said + REMEDY) as refused:
        data(tmp_path, target, {"of": values}).loader("train")
    assert "\n" not in str(refused.value)
    found = everything(data(tmp_path, target, {"of": values}, on_bad_row="skip"))
    assert sorted(found) == [row for row in range(ROWS) if row != 7]
    assert np.isfinite(np.array(list(found.values()))).all()
    assert "warning: data.train_split=train: skips 1 of 60 rows" in capsys.readouterr().err


def test_a_flag_that_is_missing_is_a_missing_target(tmp_path):
    columns = {"a": [0, 1] * (ROWS // 2), "b": [1, 0] * (ROWS // 2)}
    columns["b"][7] = None
    with pytest.raises(UserError, match=r"row 7 has no labels \(null\)"):
        data(tmp_path, labels_target("a", "b"), columns).loader("train")


def test_missing_lists_of_numbers_may_fill_a_whole_chunk():
    """However many rows a chunk has, which of them are missing changes nothing of the others."""
    for chunks in ([[None, None], [[1, 2]]], [[[1, 2]], [None, None]], [[None], [None], [[1, 2], None]]):
        collector = number_target("of").collector([None])
        for chunk in chunks:
            collector.add([chunk])
        stored = collector.finish()
        assert stored.about["names"] == ["of[0]", "of[1]"]
        assert stored.values[~np.isnan(stored.values)].tolist() == [1, 2]
        assert len(stored.values) == sum(map(len, chunks))


WRONG = {
    "texts for numbers": (number_target("of"), ["x"] * ROWS, "of: holds texts ('x'); choose columns of numbers"),
    "uneven lists": (number_target("of"), [[1], [1, 2]] * 30, "of: some rows have 1 numbers, some 2; give every row"),
    "a list for a number": (number_target("of"), [[1], 2] * 30, "of: some rows have 1 numbers, some 1; give every"),
    "numbers for classes": (class_target("of"), [0.5] * ROWS, "of: holds float values; choose a column of classes, or"),
    "one label for labels": (labels_target("of"), ["a"] * ROWS, "of: holds str values; choose a column of lists of"),
    "lists of lists": (labels_target("of"), [[["a"]]] * ROWS, "of: holds list values; choose a column of lists of"),
    "the same number": (number_target("of"), [3] * ROWS, "every row has 3 in of, from which nothing can be learned"),
    "the same labels": (labels_target("of"), [["a"]] * ROWS, "every row has the same labels, from which nothing"),
    "the same class": (class_target("of"), ["a"] * ROWS, "every row has the label a, from which nothing"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_column_of_another_kind_is_named(kind, tmp_path):
    target, values, said = WRONG[kind]
    with pytest.raises(UserError) as refused:
        data(tmp_path, target, {"of": values}).loader("train")
    assert said in str(refused.value)
    assert str(refused.value).startswith("data.")
    assert "\n" not in str(refused.value)


def test_a_flag_is_0_or_1(tmp_path):
    columns = {"a": [0, 2] * (ROWS // 2), "b": [1, 0] * (ROWS // 2)}
    with pytest.raises(UserError, match=r"^data\.targets\.labels: a holds 2; a column for each label holds 0 and 1"):
        data(tmp_path, labels_target("a", "b"), columns).loader("train")


def test_a_label_is_in_one_column(tmp_path):
    columns = {"a": [0, 1] * (ROWS // 2), "b": [1, 0] * (ROWS // 2)}
    with pytest.raises(UserError, match=r"data\.label_column=a,b: one label is in one column; .* task=multilabel"):
        data(tmp_path, class_target("a", "b"), columns).loader("train")


LISTS = [sorted({"abc"[row % 3], "ab"[row % 2]} if row % 5 else set()) for row in range(ROWS)]


@pytest.mark.parametrize("form", ["list", "columns", "true and false"])
def test_labels_are_lists_or_a_column_each(form, tmp_path):
    if form == "list":
        target, columns = labels_target("of"), {"of": LISTS}
    else:
        kind = bool if form == "true and false" else int
        target = labels_target("a", "b", "c")
        columns = {name: [kind(name in labels) for labels in LISTS] for name in "abc"}
    made = data(tmp_path, target, columns)
    found = everything(made)
    assert made.target_spec.labels == ("a", "b", "c")
    assert {row: [float(n in LISTS[row]) for n in "abc"] for row in range(ROWS)} == found
    train = targets(made)
    assert made.target_spec.rows == len(train)
    assert list(made.target_spec.counts) == np.sum(list(train.values()), axis=0).tolist()


def test_counts_of_classes_are_the_train_parts(tmp_path):
    values = ["abb"[row % 3] for row in range(ROWS)]
    made = data(tmp_path, class_target("of"), {"of": values})
    assert made.target_spec.classes == ("a", "b")
    assert list(made.target_spec.counts) == np.bincount(list(targets(made).values())).tolist()


def test_labels_of_other_data_become_the_models(tmp_path):
    trained = data(tmp_path, labels_target("of"), {"of": LISTS})
    known = {"reader": trained.reader, "target_spec": trained.target_spec}
    fewer = [["c"] if row % 2 else ["a"] for row in range(ROWS)]
    found = targets(data(tmp_path, labels_target("of"), {"of": fewer}, cache="other", **known), "test")
    assert found == {row: [0.0, 0.0, 1.0] if row % 2 else [1.0, 0.0, 0.0] for row in found}
    more = [["a", "z"]] * ROWS
    with pytest.raises(UserError, match=r"its labels are a, z, the model's are a, b, c; use data of these labels"):
        data(tmp_path, labels_target("of"), {"of": more}, cache="more", **known).loader("test")


@pytest.mark.parametrize("kind", ["class", "labels"])
def test_every_carved_part_has_its_share_of_the_rare(kind, tmp_path):
    """Of 60 rows five are of a rare class: a fifth of them, one, is in each part that is carved, whatever the seed."""
    rare = set(range(0, ROWS, 12))
    if kind == "class":
        target, values = class_target("of"), ["rare" if row in rare else "usual" for row in range(ROWS)]
    else:
        target, values = labels_target("of"), [["usual", *(["rare"] if row in rare else [])] for row in range(ROWS)]
    for seed in range(8):
        made = data(tmp_path, target, {"of": values}, split_seed=seed)
        assert [len(rare & set(targets(made, split))) for split in ("train", "val", "test")] == [3, 1, 1]


def weights(target, values, spec):
    return target.weights(np.array(values), spec)


def test_rare_rows_weigh_as_much_as_common_ones():
    classes = Classes(classes=("a", "b", "c"), counts=(6, 2, 0))
    found = weights(class_target("of"), [0] * 6 + [1] * 2, classes)
    assert found[:6].sum() == pytest.approx(found[6:].sum())
    labels = LabelSet(labels=("a", "b"), counts=(6, 2), rows=9)
    rows = [[1, 0]] * 5 + [[1, 1]] + [[0, 1]] + [[0, 0]] * 2
    found = weights(labels_target("of"), rows, labels)
    assert found == pytest.approx([1 / 6] * 5 + [1 / 2] * 2 + [1 / 6] * 2)
    numbers = Numbers(names=("of",), mean=(0.0,), deviation=(1.0,))
    with pytest.raises(UserError, match=r"^data\.sampling=balanced: data\.targets\.number=of holds no classes to"):
        weights(number_target("of"), [[1.0]], numbers)


def test_balanced_sampling_is_of_training_alone(tmp_path):
    values = ["rare" if row % 6 == 0 else "usual" for row in range(ROWS)]
    made = data(tmp_path, class_target("of"), {"of": values}, sampling="balanced")
    loader, drawn = made.loader("train"), []
    for epoch in range(40):
        loader.set_epoch(epoch)
        drawn += [label for batch in loader for label in batch.targets["label"].tolist()]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)
    assert len(drawn) == 40 * len(targets(data(tmp_path, class_target("of"), {"of": values})))
    held_out = [row for batch in made.loader("val") for row in batch.ids.tolist()]
    assert len(held_out) == len(set(held_out)) == ROWS // 5


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Classes, {"classes": [], "counts": []}),
        (Classes, {"classes": ["a", "a"], "counts": [1, 1]}),
        (Classes, {"classes": ["a", "b"], "counts": [1]}),
        (Numbers, {"names": ["a"], "mean": [0.0], "deviation": [0.0]}),
        (Numbers, {"names": ["a"], "mean": [float("nan")], "deviation": [1.0]}),
        (Numbers, {"names": ["a", "b"], "mean": [0.0], "deviation": [1.0]}),
        (LabelSet, {"labels": ["a"], "counts": [3], "rows": 2}),
        (LabelSet, {"labels": ["a", "b"], "counts": [1], "rows": 2}),
    ],
)
def test_a_specification_that_does_not_belong_together_is_refused(kind, values):
    with pytest.raises(ValueError, match=r"it has no|counts need|mean|deviation"):
        kind.from_dict(values)


def test_specifications_come_back_from_json():
    for spec in (
        Classes(classes=("a", "b"), counts=(1, 2)),
        Numbers(names=("a", "b"), mean=(0.5, 1.0), deviation=(1.0, 2.0)),
        LabelSet(labels=("a",), counts=(1,), rows=3),
    ):
        assert type(spec).from_dict(json.loads(json.dumps(spec.as_dict()))) == spec
    assert Classes.from_dict({"classes": ["a", "b"]}).counts == ()  # as earlier versions kept them
