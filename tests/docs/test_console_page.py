"""What docs/console.md shows of the terminal, and docs/python.md of Python, is so."""

import re
import shlex

import attnpred
from attnpred.cli import main
from attnpred.commands.completion import SHELLS
from tests.docs.prose import DOCS
from tests.explain.conftest import trained  # noqa: F401
from tests.inference.test_trained import digit, loaded  # noqa: F401

CONSOLE = (DOCS / "console.md").read_text(encoding="utf-8")
PYTHON = (DOCS / "python.md").read_text(encoding="utf-8")


def test_mistakes_are_answered_as_shown(capsys):
    command, *answers = re.search(r"    \$ (attnpred train .*)\n((?:    error: .*\n)+)", CONSOLE).groups()
    assert main(shlex.split(command)[1:]) == 2
    assert capsys.readouterr().err.splitlines() == [line.strip() for line in answers[0].splitlines()]


def test_every_shell_has_its_line():
    assert re.findall(r"attnpred completion (\w+)", CONSOLE) == ["bash", "zsh", "fish"]
    assert set(SHELLS) == {"bash", "zsh", "fish"}


def test_the_calls_of_the_page_can_be_made(loaded, digit, tmp_path, monkeypatch):  # noqa: F811
    """With inputs of the model that there is: what is loaded reads images."""
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PYTHON, re.DOTALL))
    code = re.sub(r'"a fine film"|"a dull one"|"digit.png"', repr(str(digit)), code)
    left_out = ("premise", "other.csv", 'attnpred.load("outputs', "import attnpred")
    lines = [line for line in code.splitlines() if not any(part in line for part in left_out)]
    space = {"attnpred": Front(loaded, attnpred), "run": loaded, "texts": [str(digit)]}
    exec("\n".join(lines), space)
    assert (tmp_path / "page.html").is_file()
    assert space["best"]["run"] == str(loaded.path)


class Front:
    """The package, whose runs are those of the fixture, and which trains nothing anew."""

    def __init__(self, run, package):
        self.run, self.package = run, package

    def train(self, *overrides):
        assert overrides
        return self.run

    def runs(self, place, where):
        assert where
        return self.package.runs(str(self.run.path))

    def load(self, path):
        return self.package.load(path)
