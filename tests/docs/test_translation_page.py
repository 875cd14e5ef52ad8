"""What docs/translation.md says, held against what there is."""

import json
import re
import shlex
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.config import compose
from tests.tasks.test_translation import pairs, write

PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    attnpred ")]


def test_the_options_that_the_page_names_are_there():
    config = compose.compose(["model=seq2seq", "data=translation"])
    for group in ("task", "model", "data"):
        named = re.findall(rf"`{group}\.(\w+)", PAGE)
        assert named
        for name in named:
            assert hasattr(getattr(config, group), name), name


@pytest.mark.slow
def test_the_commands_run_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = list(pairs(40))
    write(Path("pairs.jsonl"), rows)
    for side, column in (("en", "english"), ("de", "german")):
        Path(f"corpus.{side}").write_text("".join(row[column] + "\n" for row in rows), encoding="utf-8")
    run, answers = None, []
    for command in COMMANDS:
        words = [word for word in shlex.split(command)[1:] if word not in ("-", "<", "sentences.txt")]
        if words[0] == "train":
            small = ["model.width=16", "model.depth=1", "data.tokenizer.vocab_size=60", "data.max_length=12"]
            words += ["debug=fast", f"data.cache_dir={tmp_path / 'cache'}", "data.max_target_length=12", *small]
        elif len(words) < 3:
            continue
        assert main([run if word == "RUN" else word for word in words]) == 0, command
        said = capsys.readouterr().out.splitlines()
        run = said[-1] if words[0] == "train" else run
        answers += [json.loads(said[-1])] if words[0] == "predict" else []
    named = {name for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE) for name in row.split(", ")}
    assert {f"`{key}`" for key in answers[0]} - {"`input`"} <= named
