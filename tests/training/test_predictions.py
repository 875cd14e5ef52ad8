"""Predictions that a fold keeps: every row of validation and test once, on however many processes it was trained."""

import pyarrow.parquet as pq
import pytest

from attnpred.cli import main
from attnpred.training import predictions
from tests.data.made import text_rows

SMALL = [
    *("data=texts", "model=transformer", "model.width=8", "model.depth=1", "model.heads=2", "trainer.max_epochs=1"),
    *("trainer.precision=32-true", "trainer.attention_examples=0", "logger=none", "data.batch_size=8"),
    *("data.folds=3", "data.fold=1", "data.eval_batch_size=16"),
]
PROCESSES = {"one": ["trainer.accelerator=cpu"], "two": ["trainer=ddp_cpu", "trainer.devices=2"]}


@pytest.mark.long
@pytest.mark.parametrize("processes", PROCESSES)
def test_every_row_is_kept_once(processes, place, tmp_path, capsys):
    texts, labels = text_rows(91)
    rows = "".join(f"{t},{('bad', 'good')[n]}\n" for t, n in zip(texts, labels, strict=True))
    (tmp_path / "a.csv").write_text("text,label\n" + rows)
    assert main(["train", *SMALL, *place, f"data.source={tmp_path / 'a.csv'}", *PROCESSES[processes]]) == 0
    run = capsys.readouterr().out.splitlines()[-1]
    kept = pq.read_table(f"{run}/{predictions.FILE}").to_pylist()
    assert len({row["row"] for row in kept}) == len(kept)
    assert {part: sum(row["part"] == part for row in kept) for part in ("val", "test")} == {"val": 27, "test": 9}
    assert all(row["true"] == ("bad", "good")[labels[row["row"]]] for row in kept)
    assert all(sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5) for row in kept)
