"""Sentences in columns."""

import pytest

from attnpred.config import compose
from attnpred.data.columns import settled
from attnpred.data.conll import sentences
from attnpred.data.open_source import open_source
from attnpred.errors import UserError

ANN = ["Ann\tB-per", "went\tO", "home\tO"]


@pytest.fixture
def write(tmp_path):
    def written(*lines, ending="\n"):
        file = tmp_path / "rows.conll"
        file.write_bytes(ending.join(lines).encode() if isinstance(lines[0], str) else b"\n".join(lines))
        return file

    return written


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", ["\t", " ", "   "])
def test_words_and_tags_are_read(write, separator, ending):
    lines = [line.replace("\t", separator) for line in ANN]
    file = write("", *lines, "", "", f"Paris{separator}B-loc", ending=ending)
    assert list(sentences(file, 10)) == [
        {"tokens": [["Ann", "went", "home"], ["Paris"]], "tags": [["B-per", "O", "O"], ["B-loc"]]}
    ]


def test_columns_between_have_names_and_documents_only_begin(write):
    file = write("-DOCSTART- -X- -X- O", "", "Ann NNP B-NP B-per", "left VBD B-VP O", "")
    [found] = sentences(file, 10)
    assert found == {
        "tokens": [["Ann", "left"]],
        "column_2": [["NNP", "VBD"]],
        "column_3": [["B-NP", "B-VP"]],
        "tags": [["B-per", "O"]],
    }


def test_comments_are_left_out_and_signs_are_words(write):
    file = write("# id = 7", "Ann\tB-per", "#\tO", "#fun\tO", "")
    [found] = sentences(file, 10)
    assert found["tokens"] == [["Ann", "#", "#fun"]]


def test_chunks_hold_so_many_sentences(write):
    file = write(*[line for i in range(5) for line in (f"w{i} O", "")])
    assert [len(chunk["tokens"]) for chunk in sentences(file, 2)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["a O", "b"], "line 2 has 1 columns, the first has 2"),
        (["a X O", "b O"], "line 2 has 2 columns, the first has 3"),
        (["alone"], "line 1 has one column; write a word, and its tag in the last column"),
        ([b"a O", b"caf\xe9 O"], "line 2 is not UTF-8"),
    ],
)
def test_a_line_that_is_wrong_is_named(write, lines, expected):
    source = open_source(compose.compose(["model=transformer", "data=tags", f"data.source={write(*lines)}"]).data)
    with pytest.raises(UserError, match=rf"rows\.conll: cannot be read: {expected}") as error:
        list(source.chunks("train", "data.train_split", {"data.text_column": "tokens"}, 10))
    assert "\n" not in str(error.value)


def test_columns_are_found(write, capsys):
    config = compose.compose(["model=transformer", "data=tags", f"data.source={write(*ANN)}"]).data
    found = settled(config, "tags")
    assert (found.text_column, found.targets) == ("tokens", {"tags": "tags"})
    assert "data.text_column=tokens, data.targets.tags=tags" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("first", "text", "tags"),
    [
        ('{"words": ["a"], "ner": ["O"], "id": 3}', "words", "ner"),
        ('{"x": ["a"], "ner_tags": [0]}', "x", "ner_tags"),
        ('{"tokens": ["a"], "pos_tags": ["N"], "chunk": ["B-NP"], "tags": ["O"]}', "tokens", "tags"),
    ],
)
def test_columns_are_found_by_name_and_content(first, text, tags, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(first + "\n")
    found = settled(compose.compose(["model=transformer", "data=tags", f"data.source={file}"]).data, "tags")
    assert (found.text_column, found.targets) == (text, {"tags": tags})


def test_what_cannot_be_told_is_asked_for(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"a": ["x"], "b": ["y"]}\n')
    config = compose.compose(["model=transformer", "data=tags", f"data.source={file}"]).data
    with pytest.raises(UserError, match=r"data\.text_column: which column of .* holds the words\? There is a .*; b "):
        settled(config, "tags")
