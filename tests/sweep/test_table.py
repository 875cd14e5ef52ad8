"""What a terminal shows of a sweep."""

from attnpred.sweep.job import Job
from attnpred.sweep.state import Sweep
from attnpred.sweep.table import Table


class Terminal:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_terminal_shows_a_living_table(tmp_path):
    jobs = [Job(n, ["data=digits", f"optimizer.lr={0.1 * n:g}"], tmp_path / str(n)) for n in range(3)]
    jobs[0].status, jobs[0].values = "done", {"val/accuracy": 0.9}
    sweep = Sweep(tmp_path, [], None, "", {"val/accuracy": "maximize"}, jobs=jobs)
    stream = Terminal()
    table = Table(sweep, ["optimizer.lr"], 2, stream)
    for job in jobs:
        table.started(job)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "metrics.jsonl").write_text('{"step": 3, "val/accuracy": 0.75}\n')
    table.ended(jobs[0], jobs[1:], 3)
    table.draw(jobs[1:], 3)
    drawn = stream.text.splitlines()[-3:]
    assert drawn[0].startswith("1 of 3 done, 2 running, about 0:00 left")
    assert drawn[1].endswith("optimizer.lr=0.1, val/accuracy 0.75")
    before = len(stream.text)
    table.draw(jobs[1:], 3)
    assert stream.text[before:].startswith("\x1b[3F\x1b[J")  # in the place of the last
