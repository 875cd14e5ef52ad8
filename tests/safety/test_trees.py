"""A tree that holds a stranger's run: nothing else is deleted, the terminal obeys nothing, the other runs are shown."""

import contextlib
import io
import json
import os
import shutil

import pytest

from attnpred.cli import main
from attnpred.compare import deleting, index
from attnpred.compare.cleanup import carry_out
from attnpred.errors import UserError
from attnpred.runs.run import Run
from tests.compare.made import make_run
from tests.safety.made import edit_config, edit_json, files
from tests.safety.test_configs import BOMB

ODD = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r\n\u2028\x7f\x00"
VERBS = {
    "compare": ["compare"],
    "markdown": ["compare", "--markdown"],
    "csv": ["compare", "--csv"],
    "json": ["compare", "--json"],
    "runs": ["runs"],
    "running": ["runs", "--running"],
    "runs as json": ["runs", "--json"],
    "prune": ["prune", "--keep", "best:0", "--dry-run"],
    "prune runs": ["prune", "--keep", "best:0", "--what", "runs", "--where", "status!=x", "--dry-run"],
}


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def tree(tmp_path):
    for i in range(3):
        make_run(tmp_path / "tree" / f"a{i}", {"optimizer.lr": 0.1 + i}, value=0.5 + i / 10)
    return tmp_path / "tree"


def record(place):
    return next(one for one in index.find([str(place)]).records if one.path == place)


# What is deleted


@pytest.mark.parametrize("kind", ["empty", "status", "whole", "whole with checkpoints"])
def test_a_stray_description_above_runs_deletes_none_of_them(kind, tree, capsys):
    """Copied there by mistake, or put there by somebody: the runs below are no part of it."""
    described = {"empty": "{}", "status": '{"status": "failed", "overrides": []}'}
    (tree / "run.json").write_text(described.get(kind, (tree / "a0" / "run.json").read_text()))
    if kind.startswith("whole"):
        for name in ("config.yaml", "metrics.json"):
            shutil.copy(tree / "a0" / name, tree / name)
    if kind.endswith("checkpoints"):
        shutil.copytree(tree / "a0" / "checkpoints", tree / "checkpoints")
    before = files(tree)
    assert main(["runs", str(tree)]) == 0
    assert sorted(one.path.name for one in index.find([str(tree)]).records) == ["a0", "a1", "a2", "tree"]
    with pytest.raises(UserError):
        carry_out(record(tree), "runs")
    assert files(tree) - {tree / ".lock"} == before
    with Run(tree / "a1").held():
        assert main(["prune", str(tree), "--keep", "best:0", "--what", "runs", "--where", "status!=x", "--yes"]) == 2
    left = {file for file in before if file.is_relative_to(tree / "a1") or (file.parent == tree and file.is_file())}
    assert files(tree) >= left
    assert "a1: is being trained by another process" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["run", "sweep", "beginning", "held"])
@pytest.mark.parametrize("depth", [1, 3])
def test_what_lies_inside_a_run_and_is_not_its_own_stays(what, depth, tree):
    inside = tree.joinpath("a0", *"xyz"[:depth])
    inside.mkdir(parents=True)
    (inside / {"run": "run.json", "sweep": "sweep.json", "beginning": "config.yaml", "held": ".lock"}[what]).touch()
    if what == "beginning":
        (inside / "checkpoints").mkdir()
    (done,) = (one for one in index.find([str(tree)]).records if one.path == tree / "a0")
    with pytest.raises(UserError, match="holds what is not its own") if what != "held" else Run(inside).held():
        if what == "held":
            with pytest.raises(UserError, match="holds what is not its own"):
                carry_out(done, "runs")
        else:
            carry_out(done, "runs")
    assert inside.is_dir()
    assert (tree / "a0" / "checkpoints" / "best.ckpt").exists()


def test_what_has_no_checkpoints_directory_is_no_run(tree):
    """Three files of a run among one's documents."""
    (tree / "a0" / "checkpoints").rename(tree / "a0" / "letters")
    with pytest.raises(UserError, match="has no directory checkpoints"):
        carry_out(record(tree / "a0"), "runs")
    assert (tree / "a0" / "letters" / "best.ckpt").exists()


@pytest.mark.parametrize("what", ["checkpoints", "runs"])
@pytest.mark.parametrize("when", ["before", "locked"])
@pytest.mark.parametrize("part", ["run", "above", "checkpoints"])
def test_a_directory_swapped_for_a_link_is_not_followed(part, when, what, tree, tmp_path, monkeypatch):
    done = record(tree / "a0")
    target = make_run(tmp_path / "elsewhere" / "a0", {"optimizer.lr": 0.1}, value=0.5)
    place, aim = {
        "run": (tree / "a0", target),
        "above": (tree, target.parent),
        "checkpoints": (tree / "a0" / "checkpoints", target / "checkpoints"),
    }[part]

    def swap():
        place.rename(tmp_path / "moved")
        place.symlink_to(aim)

    if when == "before":
        swap()
    else:
        plain = deleting.Opened.read

        def late(self, name):
            swap()
            return plain(self, name)

        monkeypatch.setattr(deleting.Opened, "read", late)
    before = {file: file.read_bytes() for file in files(tmp_path / "elsewhere") if file.is_file()}
    with contextlib.suppress(UserError):
        carry_out(done, what)
    assert {file: file.read_bytes() for file in files(tmp_path / "elsewhere") if file.is_file()} == before


@pytest.mark.parametrize("name", ["run.json", ".lock"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_file_swapped_for_something_else_is_not_opened(name, kind, tree, tmp_path):
    done = record(tree / "a0")
    (tree / "a0" / name).unlink(missing_ok=True)
    (tmp_path / "precious").write_text("mine")
    if kind == "link":
        (tree / "a0" / name).symlink_to(tmp_path / "precious")
    else:
        os.mkfifo(tree / "a0" / name)
    if (name, kind) != (".lock", "pipe"):  # which can be held, and is then deleted as what it is
        with pytest.raises((UserError, OSError)):
            carry_out(done, "runs")
        assert (tree / "a0" / "checkpoints" / "best.ckpt").exists()
    assert (tmp_path / "precious").read_text() == "mine"


# What is shown


@pytest.fixture
def odd(tree):
    """A run whose every text is one that a terminal would obey."""
    run = tree / "a0"
    edit_config(run, data__name=ODD, checkpoint__monitor=f"val/{ODD}", model___target_=ODD, trainer__precision=ODD)
    edit_json(run / "run.json", lambda d: d.update(error=ODD, host=ODD, code=ODD, overrides=[f"{ODD}={ODD}"]))
    edit_json(run / "metrics.json", lambda d: d["val"]["best"].update({ODD: 0.5}))
    make_run(tree / "b", {"data.name": "other"}, status=ODD)
    make_run(tree / "c", {"seed": ODD}, status="running")
    (tree / "c" / "metrics.jsonl").write_text(json.dumps({"step": 1, "epoch": 1, "time": 1.0, ODD: 1.0}) + "\n")
    make_run(tree / "d\x1b[2J\x9b\u202e\n", value=0.3)
    return tree


@pytest.mark.parametrize("verb", VERBS)
def test_a_terminal_is_shown_nothing_that_it_would_obey(verb, odd, capsys):
    for more in ([], ["--metric", f"val/{ODD}"]) if VERBS[verb][0] != "runs" else ([],):
        main([VERBS[verb][0], str(odd), *VERBS[verb][1:], *more])
        shown = capsys.readouterr()
        for text in (shown.out, shown.err):
            assert all(line.isprintable() for line in text.split("\n")), text
        assert len(shown.out.splitlines()) < 20


def test_a_question_is_shown_as_what_it_is(odd, capsys, monkeypatch):
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    main(["prune", str(odd), "--keep", "best:0"])
    assert all(line.isprintable() for line in capsys.readouterr().err.split("\n"))


# What cannot be read


LONG = "9" * 400
BAD = {
    "long result": ("metrics.json", '{"val": {"best": {"accuracy": ' + LONG + "}}}"),
    "long cost": ("metrics.json", '{"seconds": -' + LONG + "}"),
    "long score": ("metrics.json", '{"attention": {"scores": {"attention": {"x": [' + LONG + "]}}}}"),
    "longest result": ("metrics.json", '{"seconds": ' + "9" * 5000 + "}"),
    "long steps": ("run.json", '{"status": "done", "overrides": [], "planned_steps": ' + LONG + "}"),
    "long seed": ("config.yaml", "seed: " + "9" * 4000),
    "longest seed": ("config.yaml", "seed: " + "9" * 5000),
    "hexadecimal seed": ("config.yaml", "seed: 0x" + "f" * 4000),
    "long name": ("config.yaml", "0x" + "f" * 4000 + ": 1"),
    "long in a list": ("config.yaml", "a: [0x" + "f" * 4000 + "]"),
    "base 60": ("config.yaml", "seed: " + "1:" * 1_000_000 + "1"),
    "base 60, a float": ("config.yaml", "seed: " + "1:" * 1_000_000 + "1.0"),
    "base 60 by tag": ("config.yaml", "seed: !!int '" + "1:" * 1_000_000 + "1'"),
    "empty number": ("config.yaml", "seed: !!int ''"),
    "no truth": ("config.yaml", "seed: !!bool x"),
    "no time": ("config.yaml", "seed: !!timestamp x"),
    "no day": ("config.yaml", "seed: 2026-13-45"),
    "bomb": ("config.yaml", BOMB),
    "bomb with \\r": ("config.yaml", BOMB.replace("\n", "\r")),
    "bomb with U+2028": ("config.yaml", BOMB.replace("\n", "\u2028")),
    "bomb with U+0085": ("config.yaml", BOMB.replace("\n", "\x85")),
    "bomb of texts": ("config.yaml", "a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 9999 + "]"),
    "bomb by merging": (
        "config.yaml",
        "a: &a {" + ", ".join(f"k{i}: {i}" for i in range(999)) + "}\nb: [" + "{<<: *a}, " * 999 + "]",
    ),
    "deep": ("config.yaml", "a: " + "[" * 100_000),
    "deep result": ("metrics.json", "[" * 100_000),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_file_that_cannot_be_read_leaves_the_other_runs(bad, tree, capsys):
    name, content = BAD[bad]
    (tree / "a0" / name).write_bytes(content.encode())
    for verb in VERBS.values():
        assert main([verb[0], str(tree), *verb[1:]]) == 0
        shown = capsys.readouterr()
        assert "a1" in shown.out or verb[0] == "compare" or "--running" in verb
        if verb == ["compare"]:
            assert f"left out: 1 run whose {name} cannot be read" in shown.err
            assert len([line for line in shown.out.splitlines() if line[:1].isdigit()]) == 2


POINTS = {
    "long step": '{"step": ' + LONG + ', "epoch": 1, "time": 1.0, "val/accuracy": 0.5}',
    "long value": '{"step": 1, "epoch": 1, "time": 1.0, "val/accuracy": ' + LONG + "}",
    "far time": '{"step": 3, "epoch": 1, "time": 1e999, "val/accuracy": 0.5}',
    "no time": '{"step": 3, "epoch": 1, "time": NaN, "val/accuracy": NaN}',
    "far step": '{"step": Infinity, "epoch": 1, "time": 5.0, "val/accuracy": 0.5}',
    "odd types": '{"step": [], "epoch": {}, "time": "x", "val/accuracy": "y"}',
    "deep": "[" * 100_000,
    "bytes": "\x00\x1b",
}


@pytest.mark.parametrize("point", POINTS)
def test_a_point_that_cannot_be_read_leaves_the_others(point, tree, tmp_path, capsys):
    make_run(tree / "r", status="running", points=3, planned_steps=100)
    with (tree / "r" / "metrics.jsonl").open("a") as stream:
        stream.write(POINTS[point] + "\n")
    (tree / "a0" / "metrics.jsonl").write_text(POINTS[point] + "\n")
    for verb in (*VERBS.values(), ["compare", "--html", str(tmp_path / "page.html")]):
        assert main([verb[0], str(tree), *verb[1:]]) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308, -1e308, 10**60])
def test_numbers_at_the_edge_are_no_traceback(value, tree, tmp_path, capsys):
    for i in range(2):
        run = make_run(tree / f"n{i}", {"optimizer.lr": value}, seed=i)
        edit_json(run / "metrics.json", lambda d: d["val"]["best"].update(accuracy=value))
        edit_json(run / "run.json", lambda d: d.update(started="0001-01-01T00:00:00", planned_steps=10**60))
    for verb in (*VERBS.values(), ["compare", "--html", str(tmp_path / "page.html")]):
        assert main([verb[0], str(tree), *verb[1:]]) == 0
