"""The audit tells three answers apart: nothing known, a hole known, nobody asked."""

import json
import sys

import pytest

from scripts import audit

FINE = {"name": "numpy", "version": "2.0", "vulns": []}
HOLE = {"name": "pillow", "version": "9.0", "vulns": [{"id": "CVE-1", "fix_versions": ["9.1", "10.0"]}]}
UNKNOWN = {"name": "torch", "skip_reason": "not found"}
OURS = {"name": "attnpred", "skip_reason": "distribution marked as editable"}


def fake(out: str, err: str = "", code: int = 0) -> list[str]:
    return [sys.executable, "-c", f"import sys; print({out!r}); print({err!r}, file=sys.stderr); sys.exit({code})"]


@pytest.mark.parametrize(
    ("found", "code", "told"),
    [
        ([FINE, OURS], 0, "no hole is known in 2 packages"),
        ([FINE, HOLE], 1, "pillow 9.0: CVE-1, mended by 9.1, 10.0"),
        ([FINE, HOLE, UNKNOWN], 1, "1 of 3 packages could not be asked about: torch"),
        ([FINE, UNKNOWN], 3, "1 of 2 packages could not be asked about: torch"),
    ],
)
def test_answers(found, code, told, capsys):
    assert audit.main(fake(json.dumps({"dependencies": found}), code=int(code == 1))) == code
    assert told in "".join(capsys.readouterr())


@pytest.mark.parametrize("out", ["", "null", "{}", "Traceback"])
def test_nobody_asked(out, capsys):
    assert audit.main(fake(out, "Traceback\nNameResolutionError: no such host", 1)) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "audit: the database of known holes cannot be reached, so nothing was audited: "
        "NameResolutionError: no such host\n"
    )
