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


def ended(tmp_path, objective, values, sweeper="optuna"):
    jobs = [Job(n, ["data=digits", f"optimizer.lr=0.{n}123456789"], tmp_path / str(n)) for n in range(len(values))]
    for job, of_job in zip(jobs, values, strict=True):
        job.status, job.values = ("done", dict(zip(objective, of_job, strict=True))) if of_job else ("failed", {})
    sweep = Sweep(tmp_path, [], None, "", objective, sweeper={"name": sweeper}, jobs=jobs)
    stream = Terminal()
    Table(sweep, ["optimizer.lr"], 2, stream).end(0)
    return stream.text


def test_a_search_ends_with_what_it_found_and_the_command_that_uses_it(tmp_path):
    told = ended(tmp_path, {"val/loss": "minimize"}, [[0.5], [0.25], [], [0.75]])
    assert [line.split()[0] for line in told.splitlines() if line.endswith("done, best")] == ["1"]
    assert "best: job 1, val/loss 0.25; to train with its values:\n" in told
    assert "\nattnpred train data=digits optimizer.lr=0.1123456789\n" in told


def test_of_several_objectives_all_are_marked_that_none_beats(tmp_path):
    told = ended(tmp_path, {"val/accuracy": "maximize", "seconds": "minimize"}, [[0.9, 9], [0.8, 9], [0.8, 1], []])
    assert [line.split()[0] for line in told.splitlines() if line.endswith("done, best")] == ["0", "2"]
    assert "to train with" not in told


def test_of_a_sweep_over_seeds_none_is_best(tmp_path):
    assert "best" not in ended(tmp_path, {"val/loss": "minimize"}, [[0.5], [0.25]], sweeper="basic")
