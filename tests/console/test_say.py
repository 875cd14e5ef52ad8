"""How far reading is: rows so far, and how long the rest takes where their number is known."""

import pytest

from attnpred.console import say
from attnpred.data.open_source import open_source
from tests.data.made import make_text_source, text_config


@pytest.mark.parametrize(
    ("total", "shown"),
    [(None, "reading: 4 rows"), (10, "reading: 4 of 10 rows, 6 s left"), (3, "reading: 4 rows")],
)
def test_the_rest_is_told_where_the_total_is_known(total, shown, monkeypatch, capsys):
    clock = iter([0.0, 2.0, 4.0, 4.0])
    monkeypatch.setattr(say.time, "monotonic", lambda: next(clock))
    chunks = [[[1, 2]], [[3, 4]]]
    assert list(say.counted("reading", iter(chunks), total)) == chunks
    assert capsys.readouterr().err.strip() == shown


def test_a_source_says_how_many_rows_its_splits_have(tmp_path):
    source = open_source(text_config(make_text_source(tmp_path / "texts", {"train": 30, "test": 7}), tmp_path))
    assert [source._total(split) for split in ("train", "test")] == [30, 7]
    table = tmp_path / "a.csv"
    table.write_text("text,label\na,b\n")
    assert open_source(text_config(table, tmp_path))._total("train") is None
