"""The error messages of docs/faq.md are those that the commands give, or stand in the code."""

import re
import shlex

import pytest

from attnpred.cli import main
from tests.docs.prose import DOCS, REPOSITORY, Command, commands

PAGE = DOCS / "faq.md"
ANSWERED = [command for command in commands(PAGE) if command.answer]
QUOTED = re.findall(r"^> (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
NOTES = "text,mood,sleep\nslept rather well last night,3,7\nall was well at home,1,8\nnothing much to say here,2,6\n"


def test_the_page_shows_messages():
    assert len(ANSWERED) >= 10
    assert len(QUOTED) >= 4


@pytest.mark.parametrize("command", ANSWERED, ids=str)
def test_a_command_is_answered_as_shown(command: Command, tmp_path, monkeypatch, capsys):
    if "trainer=gpu" in command.text:
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.csv").write_text(NOTES)
    assert main(shlex.split(command.text)[1:]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == command.answer


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_in_the_code(message: str):
    """Without the value that it is about, and with what the code puts together from several strings."""
    fixed = message.removeprefix("data.source=stanfordnlp/imdb: ")
    code = "\n".join(file.read_text(encoding="utf-8") for file in (REPOSITORY / "attnpred").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", code)
    assert fixed in joined
