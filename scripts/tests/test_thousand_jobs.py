"""What a sweep costs its parent is measured, and written where the page has room for it."""

import re

from scripts import thousand_jobs


def test_the_cost_of_a_sweep_is_measured(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("<!-- jobs -->\n<!-- /jobs -->\n")
    monkeypatch.setattr(thousand_jobs, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["thousand_jobs", "--jobs", "4", "--only", "processes"])
    assert thousand_jobs.main() == 0
    (row,) = [line for line in page.read_text().splitlines() if line.startswith("| processes")]
    seconds, *_, few, all_of_them = (float(n.replace(",", "")) for n in re.findall(r"([\d,.]+) (?:s|MiB) ", row))
    assert seconds >= 0
    assert 0 < few <= all_of_them
