"""Pruning deletes what was said, and nothing else, whatever lies in its way."""

import io
import json
import os
import platform
import shutil

import pytest

from attnpred.cli import main
from attnpred.compare import index
from attnpred.compare.cleanup import carry_out
from attnpred.errors import UserError
from attnpred.runs.run import Run
from tests.compare.made import make_run

CHECKPOINTS = {"best.ckpt", "last.ckpt", "checksums.json"}


@pytest.fixture
def tree(tmp_path):
    for i in range(4):
        make_run(tmp_path / "tree" / f"a{i}", {"optimizer.lr": 0.1 + i}, value=0.5 + i / 10)
    make_run(tmp_path / "tree" / "other", {"data.name": "letters"}, value=0.1)
    return tmp_path / "tree"


def whole(tree):
    """The runs that have all their checkpoints."""
    names = {run.name: {p.name for p in (run / "checkpoints").iterdir()} for run in tree.iterdir()}
    assert all(found in (CHECKPOINTS, set()) for found in names.values())
    return sorted(name for name, found in names.items() if found)


def files(tree):
    return {path.relative_to(tree) for path in tree.rglob("*")}


def test_the_best_of_each_pair_stay_whole_and_records_stay_everywhere(tree, capsys):
    before = files(tree)
    assert main(["prune", str(tree), "--keep", "best:2", "--yes"]) == 0
    assert whole(tree) == ["a2", "a3", "other"]
    assert {path.name for path in before - files(tree)} == CHECKPOINTS
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [str(tree / name) for name in ("a0", "a1")]
    assert "kept: 3 runs among the best" in shown.err
    assert "freed 5.9 KiB" in shown.err
    assert main(["compare", str(tree)]) == 0


def test_what_is_best_may_be_another_metric(tree):
    assert main(["prune", str(tree), "--keep", "best:1", "--metric", "val/loss", "--yes"]) == 0
    assert whole(tree) == ["a3", "other"]


def test_a_pruned_run_says_so(tree, capsys):
    main(["prune", str(tree), "--keep", "best:2", "--yes"])
    with pytest.raises(UserError, match="checkpoints were pruned on 2"):
        Run(tree / "a0").checkpoint()
    capsys.readouterr()
    assert main(["prune", str(tree), "--keep", "best:2", "--yes"]) == 0
    assert "kept: 2 runs without checkpoints" in capsys.readouterr().err


def test_whole_runs(tree, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("x")
    (tree / "a0" / "link").symlink_to(tmp_path / "outside")
    (tree / "a0" / "checkpoints" / "link.ckpt").symlink_to(tmp_path / "outside" / "precious")
    assert main(["prune", str(tree), "--keep", "best:1", "--what", "runs", "--yes"]) == 0
    assert sorted(p.name for p in tree.iterdir()) == ["a3", "other"]
    assert (tmp_path / "outside" / "precious").read_text() == "x"


def test_links_are_not_followed(tree, tmp_path):
    elsewhere = make_run(tmp_path / "elsewhere" / "run", value=0.01)
    (tree / "link").symlink_to(elsewhere)
    folder = tree / "a0" / "checkpoints"
    folder.rename(tmp_path / "folder")
    folder.symlink_to(tmp_path / "folder")
    assert main(["prune", str(tree), "--keep", "best:0", "--yes"]) == 0
    assert {p.name for p in (elsewhere / "checkpoints").iterdir()} == CHECKPOINTS
    assert {p.name for p in (tmp_path / "folder").iterdir()} == CHECKPOINTS


def test_a_dry_run_deletes_nothing_and_lists_all(tree, capsys):
    before = files(tree)
    assert main(["prune", str(tree), "--keep", "best:1", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert files(tree) == before
    assert [line.split()[0].rpartition("/")[2] for line in shown.out.splitlines()[1:]] == ["a0", "a1", "a2"]
    assert "checkpoints of 3 runs, 8.8 KiB would be deleted" in shown.err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "left"), [("y\n", 2), ("n\n", 5), ("\n", 5), ("", 5), ("yes please\n", 5)])
def test_it_asks(tree, monkeypatch, capsys, answer, left):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["prune", str(tree), "--keep", "best:1"]) == 0
    assert len(whole(tree)) == left
    assert "Delete checkpoints of 3 runs, 8.8 KiB?" in capsys.readouterr().err


def test_without_a_terminal_it_needs_a_word(tree, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["prune", str(tree), "--keep", "best:1"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: --yes: needed where there is no terminal")
    assert len(whole(tree)) == 5


@pytest.mark.parametrize("keep", [None, "3", "best", "best:", "best:-1", "best:x", "worst:1", "best:1.5"])
def test_what_to_keep_must_be_said(tree, capsys, keep):
    assert main(["prune", str(tree), "--yes", *(["--keep", keep] if keep else [])]) == 2
    assert capsys.readouterr().err.startswith("error: --keep")
    assert len(whole(tree)) == 5


def test_what_is_not_done_stays_unless_it_is_named(tree, capsys):
    make_run(tree / "failed", status="failed")
    make_run(tree / "dead", status="running", host=platform.node())
    make_run(tree / "far", status="running", host="another")
    assert main(["prune", str(tree), "--keep", "best:0", "--yes"]) == 0
    assert whole(tree) == ["dead", "failed", "far"]
    assert main(["prune", str(tree), "--keep", "best:9", "--where", "status=failed", "--yes"]) == 0
    assert whole(tree) == ["dead", "far"]
    assert main(["prune", str(tree), "--keep", "best:0", "--where", "status!=done", "--yes"]) == 0
    assert whole(tree) == ["far"]
    assert "kept: 1 run at work" in capsys.readouterr().err


def test_what_is_at_work_is_left_even_if_it_began_meanwhile(tree, capsys):
    (done,) = (one for one in index.find([str(tree)]).records if one.path.name == "a0")
    for what in ("checkpoints", "runs"):
        with Run(tree / "a0").held(), pytest.raises(UserError, match="trained by another process"):
            carry_out(done, what)
        Run(tree / "a0").describe(status="running")
        with pytest.raises(UserError, match="is running now, it was done"):
            carry_out(done, what)
        Run(tree / "a0").describe(status="done")
    with Run(tree / "a0").held():
        assert main(["prune", str(tree), "--keep", "best:2", "--yes"]) == 2
    assert "1 of 2 runs were left" in capsys.readouterr().err
    assert whole(tree) == ["a0", "a2", "a3", "other"]


def test_a_directory_that_became_a_link_is_left(tree, tmp_path):
    (done,) = (one for one in index.find([str(tree)]).records if one.path.name == "a0")
    (tree / "a0").rename(tmp_path / "moved")
    (tree / "a0").symlink_to(tmp_path / "moved")
    with pytest.raises(UserError, match="no longer where it was"):
        carry_out(done, "runs")
    assert {p.name for p in (tmp_path / "moved" / "checkpoints").iterdir()} == CHECKPOINTS


@pytest.mark.parametrize("absolute", [True, False])
def test_weights_that_an_unfinished_run_begins_from_stay(tree, absolute):
    source = str(tree / "a0") if absolute else "tree/a0"
    make_run(tree / "waiting", {"model.init_from": source}, status="interrupted")
    assert main(["prune", str(tree), "--keep", "best:0", "--yes"]) == 0
    assert whole(tree) == ["a0", "waiting"]


def test_done_runs_that_cannot_be_ranked_stay(tree, capsys):
    (tree / "a0" / "metrics.json").write_text(json.dumps({"seconds": 3}))
    make_run(tree / "nan", {"optimizer.lr": 7.0}, value=float("nan"))
    assert main(["prune", str(tree), "--keep", "best:3", "--yes"]) == 0
    assert whole(tree) == ["a0", "a1", "a2", "a3", "other"]
    assert "kept: 1 run without val/accuracy" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete everything")
def test_what_may_not_be_deleted_is_named(tree, capsys):
    (tree / "a0" / "checkpoints").chmod(0o500)
    assert main(["prune", str(tree), "--keep", "best:2", "--yes"]) == 2
    assert "cannot be deleted (Permission denied)" in capsys.readouterr().err
    assert "a1" not in whole(tree)


def test_a_run_half_deleted_is_found_again(tree, monkeypatch, capsys):
    (done,) = (one for one in index.find([str(tree)]).records if one.path.name == "a0")
    (tree / "a0" / "notes").write_text("x")
    rmtree = shutil.rmtree

    def fail_late(name, *args, **more):
        if name == "checkpoints":
            raise OSError("pulled out")
        rmtree(name, *args, **more)

    monkeypatch.setattr("shutil.rmtree", fail_late)
    with pytest.raises(OSError, match="pulled out"):
        carry_out(done, "runs")
    assert not (tree / "a0" / "notes").exists()
    monkeypatch.setattr("shutil.rmtree", rmtree)
    assert main(["prune", str(tree), "--keep", "best:3", "--what", "runs", "--yes"]) == 0
    assert not (tree / "a0").exists()
