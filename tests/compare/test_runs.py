"""What runs stand at and take, told without touching them."""

import json
import os
import platform
import re
import time

import pytest

from attnpred.cli import main
from attnpred.compare import index
from attnpred.compare.status import at_work, human_size, human_time, living, progress, size
from attnpred.runs.run import Run
from tests.compare.made import make_run
from tests.compare.test_index import listing


def rows(out):
    return [re.split(r"  +", line.strip()) for line in out.splitlines()]


def test_a_line_a_run(tmp_path, monkeypatch, capsys):
    make_run(tmp_path / "outputs" / "b", seed=3, value=0.5)
    make_run(tmp_path / "outputs" / "a", status="failed", points=2, started="2025-01-01T00:00:00+00:00")
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    shown = capsys.readouterr()
    head, first, second = rows(shown.out)
    assert head == ["run", "status", "model", "data", "seed", "result", "age", "size"]
    assert first[:6] == ["outputs/a", "failed", "resnet_attention", "digits", "0", "val/accuracy 0.6000"]
    assert second[:6] == ["outputs/b", "done", "resnet_attention", "digits", "3", "val/accuracy 0.5000"]
    assert first[7].endswith("KiB")
    assert shown.err == ""


def test_whether_it_lives_is_told_by_its_lock(tmp_path):
    run = Run(make_run(tmp_path / "0", status="running", host=platform.node()))
    (one,) = index.find([str(tmp_path)]).records
    before = listing(tmp_path)
    assert living(one).status == "dead"
    assert listing(tmp_path) == before  # no lock file was made
    with run.held():
        assert at_work(run.path)
        assert living(one).status == "running"
    assert not at_work(run.path)
    assert living(one).status == "dead"
    with run.held():
        pass  # nobody holds what was only looked at


def test_what_another_machine_says_is_taken(tmp_path):
    make_run(tmp_path / "0", status="running", host="another")
    assert living(index.find([str(tmp_path)]).records[0]).status == "running"


def test_how_far_a_run_is(tmp_path, capsys):
    run = make_run(tmp_path / "0", {"trainer.max_epochs": 4}, status="running", planned_steps=100)
    make_run(tmp_path / "1")
    now = time.time()
    points = [{"step": s, "epoch": 1 + s // 25, "time": now - 50 + s, "train/loss": 1.0} for s in (10, 20, 30, 40, 50)]
    points.insert(3, {"step": 25, "epoch": 1, "time": now - 25, "val/accuracy": 0.625})
    old = [{"step": 90, "epoch": 9, "time": now - 9999}]  # from before it was begun anew
    text = "".join(json.dumps(p) + "\n" for p in [*old, *points])
    (run / "metrics.jsonl").write_text("half a line\n" + "#" * 2**17 + "\n" + text + '{"step": 60, "ep')
    (one,) = (one for one in index.find([str(tmp_path)]).records if one.path.name == "0")
    at = progress(one)
    assert (at.step, at.total, at.epoch, at.epochs, at.metric) == (50, 100, 3, 4, 0.625)
    assert at.left == pytest.approx(50, abs=5)
    assert main(["runs", str(tmp_path), "--running"]) == 0
    (_, line) = rows(capsys.readouterr().out)
    assert line[4:7] == ["3/4", "50/100", "val/accuracy 0.6250"]
    assert main(["runs", str(tmp_path), "--running", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["step"], told["steps"], told["status"], told["value"]) == (50, 100, "running", 0.625)


def test_a_run_without_any_point_yet(tmp_path, capsys):
    make_run(tmp_path / "0", status="running")
    assert main(["runs", str(tmp_path), "--running"]) == 0
    assert rows(capsys.readouterr().out)[1][4:] == ["–", "–", "–", "–"]


def test_chosen_by_what_they_are_and_by_the_status_they_have(tmp_path, capsys):
    make_run(tmp_path / "0", status="running", host=platform.node())
    make_run(tmp_path / "1", {"optimizer.lr": 0.5}, value=0.9)
    (make_run(tmp_path / "2") / "run.json").write_text("{")
    for conditions, names in ((["status=dead"], ["0"]), (["optimizer.lr=0.5", "val/accuracy>0.8"], ["1"])):
        flags = [part for condition in conditions for part in ("--where", condition)]
        assert main(["runs", str(tmp_path), "--json", *flags]) == 0
        told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["run"].rpartition("/")[2] for one in told] == names
    assert main(["runs", str(tmp_path)]) == 0
    assert "run.json cannot be read" in capsys.readouterr().out
    assert main(["runs", str(tmp_path), "--running"]) == 0
    assert "dead, to go on with by attnpred resume: 1" in capsys.readouterr().err


def test_a_pipe_is_not_waited_for_and_a_link_not_followed(tmp_path, capsys):
    run = make_run(tmp_path / "runs" / "0", points=2)
    (run / "metrics.jsonl").unlink()
    os.mkfifo(run / "metrics.jsonl")
    (run / "metrics.json").rename(tmp_path / "elsewhere.json")
    (run / "metrics.json").symlink_to(tmp_path / "elsewhere.json")
    (one,) = index.find([str(tmp_path / "runs")]).records
    assert (one.problem, one.results) == ("metrics.json cannot be read", {})
    assert progress(one).step is None
    assert main(["runs", str(tmp_path / "runs"), "--json"]) == 0


def test_no_runs(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", "no runs\n")
    assert main(["runs", str(tmp_path / "nowhere")]) == 2


def test_sizes_count_no_link(tmp_path):
    (tmp_path / "run" / "below").mkdir(parents=True)
    (tmp_path / "run" / "below" / "file").write_bytes(b"0" * 3000)
    (tmp_path / "big").write_bytes(b"0" * 10**6)
    (tmp_path / "run" / "link").symlink_to(tmp_path / "big")
    assert 3000 <= size(tmp_path / "run") < 4000


def test_words():
    assert [human_size(n) for n in (0, 900, 3000, 4.7 * 2**20, 2**41)] == [
        "0 B",
        "900 B",
        "2.9 KiB",
        "4.7 MiB",
        "2.0 TiB",
    ]
    assert [human_time(n) for n in (None, 5, 200, 9000, 10**6)] == ["–", "5 s", "3 min", "2 h", "12 d"]


def test_names_that_no_terminal_can_show(tmp_path, capsys):
    for i, name in enumerate((b"half\xff", b"red\x1b[31m\n")):
        make_run(tmp_path / os.fsdecode(name), {"optimizer.lr": 1.0 + i}, host="\ud800", seed=i)
        make_run(tmp_path / f"{i}", status="\ud800\x1b[31m", seed=i)
    for command in (["runs"], ["runs", "--json"], ["prune", "--keep", "best:0", "--dry-run"]):
        assert main([*command, str(tmp_path)]) == 0
    for flags in (["--json"], ["--markdown"], [], ["--html", str(tmp_path / "page.html")]):
        assert main(["compare", str(tmp_path), *flags]) == 0
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        text.encode()
        assert "\x1b" not in text
    assert main(["compare", str(tmp_path), "--csv"]) == 0
    capsys.readouterr().out.encode()  # a program reads what there is, as far as it has a code
