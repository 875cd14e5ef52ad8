"""Tables of what exports and pruning take and give."""

from scripts import export_int8, slim

QUANTISED = {
    "examples": 872,
    "bytes": {"float32": 90 * 2**20, "now": 23 * 2**20},
    "examples_per_second": {"float32": 100.0, "now": 250.0},
    "speedup": 2.5,
    "metrics": {key: {"loss": 0.1, "accuracy": 0.9} for key in ("float32", "now")},
    "faithfulness": {
        key: {"comprehensiveness": [0.2, 0.1, 0.3], "sufficiency": [0.1, 0.0, 0.2]} for key in ("float32", "now")
    },
}


def kept(busy):
    told = {"agreement": 0.995, "quantised": QUANTISED}
    return {"minilm": {"machine": "M", "date": "D", "busy": busy, "kinds": {"dynamic": told, "static": told}}}


def test_int8_stands_beside_float32():
    lines = export_int8.table(kept(False)).splitlines()
    assert lines[2].startswith("| `minilm` | float32 | 90.0 | 100 | accuracy 0.9000 | 0.200 | 0.100 |")
    assert lines[3] == "|  | int8, dynamic | 23.0 | 250 (2.50 ×) | accuracy 0.9000 | 0.200 | 0.100 | 99.5% |"
    assert len({line.count("|") for line in lines[:5]}) == 1


def test_a_busy_machine_shows_no_speed():
    found = export_int8.table(kept(True))
    assert "250" not in found
    assert "says nothing" in found
    run = {"how": "x", "parameters": 1000, "time": 0.5, "metrics": {"loss": 1.0, "accuracy": 0.5}}
    run["scores"] = {"comprehensiveness": [0.1, 0.0, 0.2], "sufficiency": [0.3, 0.2, 0.4]}
    result = {"machine": "M", "date": "D", "busy": True, "epochs": 1, "runs": [run]}
    row = slim.table({"t": result}).splitlines()[2]
    assert row == "| `t` | x | 1,000 | – | accuracy 0.5000 | 0.100 (0.000 to 0.200) | 0.300 (0.200 to 0.400) |"
    assert "0.50 |" in slim.table({"t": {**result, "busy": False}})
