"""The command itself: verbs, exit codes, and what goes to which stream."""

import pytest

from attnpred import cli
from attnpred.commands import check
from attnpred.config import compose
from attnpred.errors import Interrupted
from attnpred.version import __version__


def test_overview_lists_every_verb(capsys):
    assert cli.main([]) == 0
    overview = capsys.readouterr().out
    for verb in ("train", "evaluate", "predict", "check"):
        assert f"  {verb} " in overview


def test_the_version_is_the_one_that_runs_keep(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"attnpred {__version__}\n"


def test_unknown_verb_is_a_mistake_with_a_suggestion(capsys):
    assert cli.main(["evalute"]) == 2
    assert "did you mean evaluate?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["evaluate"], ["evaluate", "x", "--split", "train"], ["train", "--no-such-flag"]]
)
def test_wrong_arguments_are_one_line(arguments, capsys):
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_what_is_no_run_directory_is_named(verb, tmp_path, capsys):
    assert cli.main([verb, str(tmp_path / "none"), *(["x"] if verb == "predict" else [])]) == 2
    assert "no such directory" in capsys.readouterr().err
    assert cli.main([verb, str(tmp_path), *(["x"] if verb == "predict" else [])]) == 2
    assert "not a run directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code"), [(Interrupted(15), 143), (Interrupted(2), 130), (KeyboardInterrupt(), 130)]
)
def test_signals_become_exit_codes(raised, code, monkeypatch):
    def stop(_):
        raise raised

    monkeypatch.setattr(check, "main", stop)
    assert cli.main(["check"]) == code


def test_our_own_failures_keep_their_traceback(monkeypatch):
    def fail(_):
        raise ZeroDivisionError

    monkeypatch.setattr(check, "main", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["check"])


@pytest.mark.slow
def test_check_validates_all_that_is_shipped(capsys):
    assert cli.main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    triples = {line.removeprefix("ok: ") for line in lines if "model=" in line}
    named = {word for triple in triples for word in triple.split()}
    for group in ("model", "data", "task"):
        assert {f"{group}={name}" for name in compose.group_options(group)} <= named
    assert "model=bert data=sick task=regression" in triples
    assert "model=transformer data=digits task=classification" in triples
    assert not any("model=bert data=digits" in triple for triple in triples)
    assert "ok: trainer=ddp_cpu" in lines


def test_flags_may_stand_between_overrides(capsys):
    assert cli.main(["train", "model=transformer", "--cfg", "job", "data=imdb"]) == 0
    assert "name: imdb" in capsys.readouterr().out


def test_check_of_one_config(capsys):
    assert cli.main(["check", "model=bert", "data=sst2"]) == 0
    assert cli.main(["check", "model=bert", "data=digits"]) == 2
