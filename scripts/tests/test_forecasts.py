"""The tables of docs/series.md are made of what scripts/forecasts.json keeps."""

import json

from scripts.forecasts import MEASURED, PAGE, RESULTS, tables


def test_the_page_shows_what_was_measured():
    known = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert tables(known) in PAGE.read_text(encoding="utf-8")
    for found in known.values():
        for measured in found.values():
            assert len(measured["runs"]) == len(measured["seeds"])
            assert all(run[name] > 0 for run in measured["runs"] for name in MEASURED)


def test_a_table_has_a_row_a_forecaster_and_leaves_out_what_was_not_measured():
    run = {**dict.fromkeys(MEASURED, 0.5), "seconds": 60}
    known = {
        "one": {"96": {"machine": "a machine", "date": "today", "seeds": [0, 1], "runs": [run, {**run, "mse": 0.7}]}},
        "two": {"720": {"machine": "a machine", "date": "today", "seeds": [0], "runs": [run]}},
    }
    shown = tables(known)
    assert "| MSE / MAE | 96 | 720 |" in shown
    assert "| `one` | 0.600 ± 0.141 / 0.500 ± 0.000 |  |" in shown
    assert "| `two` |  | 0.500 / 0.500 |" in shown
    assert "| DLinear, 336 hours (published) | 0.375 / 0.399 | 0.472 / 0.490 |" in shown
    assert "| `two` | 720 | 0 | 1.0 min | a machine, today |" in shown
