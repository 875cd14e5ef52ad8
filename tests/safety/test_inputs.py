"""predict, evaluate and explain on anything: one line that names the input, and answers for those before it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attnpred.cli import main
from attnpred.inference import inputs
from attnpred.inference.inputs import LONGEST_LINE
from attnpred.inference.predict import predict
from attnpred.modalities.text.reader import CHARACTERS
from attnpred.runs.run import Run

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def predicted(capfd, monkeypatch):
    """Exit code, answers and the error of `predict`, with these bytes on standard input."""

    def run(run, *given, stdin=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="ascii"))
        capfd.readouterr()
        code = main(["predict", str(run), *map(str, given)])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(errors) == (code == 2)
        return code, [json.loads(line) for line in out.splitlines()], "".join(errors)

    return run


@pytest.fixture
def pictures(tmp_path):
    """So many pictures of the model's size."""

    def make(count):
        for i in range(count):
            Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / f"{i}.png")
        return [str(tmp_path / f"{i}.png") for i in range(count)]

    return make


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"\xff\xfe\x00\x01", "not UTF-8 text (byte 1 is 0xff)"),
        (b"caf\xe9", "not UTF-8 text (byte 4 is 0xe9)"),
        (b"\xed\xa0\x80", "not UTF-8"),
        (os.urandom(0) + bytes(range(128, 256)), "not UTF-8"),
    ],
)
def test_what_is_no_text_is_named_by_its_line_and_those_before_are_answered(line, told, runs, predicted):
    code, answers, error = predicted(runs.text, "-", stdin=b"a fine film\nall dull\n" + line + b"\nnever read\n")
    assert code == 2
    assert [answer["input"] for answer in answers] == ["a fine film", "all dull"]
    assert error.startswith("error: line 3 of standard input: ")
    assert told in error


def test_lines_are_counted_behind_arguments(runs, predicted):
    code, answers, error = predicted(runs.text, "one", "two", "-", "last", stdin=b"three\n\xff\n")
    assert (code, len(answers)) == (2, 3)
    assert error.startswith("error: line 2 of standard input: ")


def test_odd_texts_are_texts(runs, predicted):
    texts = ["", "\0", "a\0b", "\x1b[31mred", "\u202egnp.exe", "🎬" * 50, "\ufeffmark", "​", "a" * 3000, "<b>&amp;</b>"]
    stdin = "\n".join(texts).encode() + b"\n"
    code, answers, _ = predicted(runs.text, "-", stdin=stdin)
    assert code == 0
    assert len(answers) == len(texts)
    assert [answer["input"] for answer in answers][:8] == texts[:8]
    for answer in answers:
        assert np.isfinite(answer["attention"]).all()


def test_ends_of_lines_are_of_any_kind(runs, predicted):
    _, answers, _ = predicted(runs.text, "-", stdin=b"one\r\ntwo\n\nlast")
    assert [answer["input"] for answer in answers] == ["one", "two", "", "last"]


@pytest.mark.parametrize("kind", ["text", "image"])
def test_nothing_given_nothing_answered(kind, runs, predicted):
    assert predicted(getattr(runs, kind), "-", stdin=b"") == (0, [], "")


def test_no_input_at_all_is_refused(runs, refused):
    assert "give inputs" in refused("predict", runs.text)


def test_a_name_that_is_no_utf8_is_answered_in_json(runs, predicted):
    code, answers, _ = predicted(runs.text, "caf\udce9 dull")
    assert code == 0
    assert answers[0]["input"] == "caf\udce9 dull"


@pytest.mark.parametrize("bad", range(5))
def test_pictures_before_a_bad_one_are_answered(bad, runs, predicted, pictures, tmp_path):
    given = pictures(5)
    Path(given[bad]).write_bytes(b"no picture")
    code, answers, error = predicted(runs.image, *given)
    assert code == 2
    assert [answer["input"] for answer in answers] == given[:bad]
    assert error.startswith(f"error: {given[bad]}: no image that can be read")
    code, again, error = predicted(runs.image, "-", stdin="\n".join(given).encode())
    assert error.startswith(f"error: line {bad + 1} of standard input: {given[bad]}: ")
    assert again == answers


def test_a_bad_picture_in_a_later_batch_is_named(runs, predicted, pictures, tmp_path):
    (copy := tmp_path / "run").symlink_to(runs.image)
    given = [*pictures(3), str(tmp_path / "none.png")]
    config = Run.find(str(copy)).config()
    config.data.eval_batch_size = 2
    answers = []
    with pytest.raises(inputs.BadInput) as caught:
        answers.extend(predict(Run.find(str(copy)), config, given))
    # what could be answered was, but extend keeps nothing of it
    assert caught.value.position == 3


ODD = {
    "missing": (lambda p: p, "no such file"),
    "directory": (lambda p: p.mkdir(), "not a file"),
    "empty": (lambda p: p.write_bytes(b""), "no image that can be read"),
    "text": (lambda p: p.write_text("a text"), "no image that can be read"),
    "pipe": (os.mkfifo, "not a file"),
    "unreadable": (lambda p: p.symlink_to(p), "no image that can be read"),
    "truncated": (lambda p: truncated(p), "no image that can be read"),
    "animated rubbish": (lambda p: p.write_bytes(b"GIF89a" + b"\xff" * 100), "no image that can be read"),
}


def truncated(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:700])


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_what_is_no_picture_is_named(kind, verb, runs, refused, tmp_path):
    make, told = ODD[kind]
    make(tmp_path / "odd.png")
    line = refused(verb, runs.image, tmp_path / "odd.png")
    assert line.startswith(f"error: {tmp_path / 'odd.png'}: ")
    assert told in line


@pytest.mark.parametrize("text", ["a fine film", "", "a\0b", "x" * 100_000, "\x1b]0;title\x07", "\udcff"])
@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_a_text_is_no_picture(text, verb, runs, refused):
    line = refused(verb, runs.image, text)
    assert "give the path of an image file" in line
    assert line.isprintable()
    assert len(line) < 3000


@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_a_file_is_no_text(verb, runs, refused, pictures):
    (file,) = pictures(1)
    assert refused(verb, runs.text, file).startswith(f"error: {file}: is a file, and the model reads texts")


def test_a_bomb_is_refused_in_one_line(runs, refused, tmp_path):
    file = tmp_path / "bomb.png"
    Image.new("1", (10_000, 10_000)).save(file)
    assert file.stat().st_size < 200_000
    for verb in ("predict", "explain"):
        line = refused(verb, runs.image, file)
        assert line.startswith(f"error: {file}: no image that can be read (")
        assert "pixels" in line


def test_a_long_line_is_cut_before_it_is_read():
    def halves(line):
        return list(inputs.lines(io.BytesIO(line)))

    half = LONGEST_LINE // 2
    assert halves(b"a" * LONGEST_LINE) == [b"a" * LONGEST_LINE]
    assert halves(b"a" * LONGEST_LINE + b"\nb") == [b"a" * LONGEST_LINE, b"b"]
    assert halves(b"a" * LONGEST_LINE + b"\r\nb\n") == [b"a" * LONGEST_LINE, b"b"]
    first, second = halves(b"a" * LONGEST_LINE + b"b" * 3 * LONGEST_LINE + b"c" * half + b"\nnext\n")
    assert first == b"a" * half + b" " + b"c" * (half - 1)
    assert second == b"next"
    for character in ("é", "€", "🎬"):
        for start in range(4):
            line = b"x" * start + character.encode() * LONGEST_LINE
            (short,) = halves(line + b"\n")
            assert len(short) <= LONGEST_LINE + 1
            assert set(short.decode()) <= {"x", " ", character}


@pytest.mark.parametrize("truncate", ["head", "tail", "both"])
def test_of_a_very_long_text_the_part_that_is_kept_is_read(truncate, runs):
    reader = Run.find(str(runs.text)).reader()
    reader.truncate = truncate
    most = CHARACTERS * reader.spec.max_length
    words = [f"w{i}" for i in range(most)]
    long, short = " ".join(words), reader._shortened(" ".join(words))
    assert len(short) <= most + 1
    (whole,) = reader.vocabulary.ids([long])
    (cut,) = reader.vocabulary.ids([short])
    assert [whole[i] for i in kept(reader, whole)] == [cut[i] for i in kept(reader, cut)]
    assert reader._shortened("a short text") == "a short text"


def kept(reader, ids):
    head, tail = reader._ends(len(ids), min(len(ids), reader.spec.room))
    return [*range(head), *range(len(ids) - tail, len(ids))]


@pytest.mark.slow
def test_a_line_of_a_hundred_megabytes_takes_little_memory(runs):
    """Measured as the growth of a process that has read a short one."""
    code = (
        "import resource, sys; from attnpred.cli import main\n"
        "for given in ('a fine film', '-'):\n"
        "    assert main(['predict', sys.argv[1], given]) == 0\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    line = b"dull " * (100 * 2**20 // 5) + b"\n"
    command = [sys.executable, "-c", code, str(runs.text)]
    ended = subprocess.run(command, input=line, env=own, capture_output=True, timeout=300, check=True)
    answers = [json.loads(answer) for answer in ended.stdout.splitlines()]
    assert len(answers) == 2
    assert len(answers[1]["words"]) < 1000
    usual, most = (int(size) for size in ended.stderr.split()[-2:])
    assert most - usual < 40 * 2 ** (20 if sys.platform == "darwin" else 10)


def launched(stdout):
    """A process that prints little; its ways to fail are those of every verb."""
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "attnpred", "check", "seed=1"]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=own, timeout=120, check=False)


def test_whoever_stops_reading_ends_it_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    ended = launched(writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_that_cannot_be_written_is_named():
    with Path("/dev/full").open("wb") as full:
        ended = launched(full)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: standard output: cannot be written (No space")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["none/\0/x.html", ".", "x" * 300 + ".html", "/proc/none/x.html", "digit.txt/x.html"])
def test_a_page_that_cannot_be_written_is_named(name, runs, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digit.txt").write_text("")
    assert refused("explain", runs.text, "a fine film", "--output", name).startswith("error: --output ")


@pytest.mark.parametrize("flag", [["--split", "none"], ["--limit", "0"], ["--limit", "x"], ["--explainer", "none"]])
def test_flags_are_checked(flag, runs, refused):
    assert flag[0] in refused("explain", runs.text, *flag)
