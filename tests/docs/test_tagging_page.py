"""The commands of docs/tagging.md, typed on files such as it describes."""

import json
import re
import shlex
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.config import compose
from attnpred.data.conll import sentences

PAGE = (Path(__file__).parents[2] / "docs" / "tagging.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    attnpred ")]
ROWS = [(["Ann", "saw", "New", "York"], ["B-per", "O", "B-loc", "I-loc"]), (["we", "slept"], ["O", "O"])] * 30


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = ["".join(f"{word} {tag}\n" for word, tag in zip(*row, strict=True)) for row in ROWS]
    Path("notes.conll").write_text("\n".join(columns))
    lines = [json.dumps({"tokens": words, "tags": tags}) + "\n" for words, tags in ROWS]
    Path("notes.jsonl").write_text("".join(lines))
    return tmp_path


@pytest.mark.slow
def test_the_commands_run_as_written(home, capsys):
    run = None
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        if words[0] == "train":
            words += ["debug=fast", f"data.cache_dir={home / 'cache'}"]
        assert main([run if word == "RUN" else word for word in words]) == 0, command
        said = capsys.readouterr().out.splitlines()
        run = said[-1] if words[0] == "train" else run
    answers = [json.loads(line) for line in said]
    assert [answer["words"] for answer in answers] == [["Ann", "saw", "New", "York"]] * 2
    assert set(re.findall(r"\| `(\w+)`(?:, `(\w+)`)?(?:, `(\w+)`)? \|", PAGE)) != set()
    named = {name for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE) for name in row.split(", ")}
    assert {f"`{key}`" for key in answers[0]} - {"`input`"} <= named


def test_the_example_of_columns_is_read(tmp_path):
    block = re.search(r"((?:    \w+ +[BIO][\w-]* .*\n|    \w+ +[BIO][\w-]*\n)+)", PAGE)
    file = tmp_path / "rows.conll"
    file.write_text("\n".join(" ".join(line.split()[:2]) for line in block[1].splitlines()))
    [found] = sentences(file, 10)
    assert found == {"tokens": [ROWS[0][0]], "tags": [ROWS[0][1]]}


def test_the_options_that_the_page_names_are_there():
    task = compose.compose(["model=transformer", "data=tags"]).task
    for name in re.findall(r"`task\.(\w+)", PAGE):
        assert hasattr(task, name), name
