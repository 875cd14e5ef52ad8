"""A dataset from a stranger runs no code and reads no file but its own; what is no picture is none."""

import pickle
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attnpred.data.open_source import open_source
from attnpred.errors import UserError
from attnpred.modalities.image.decoding import FORMATS, open_image
from tests.data.made import image_config, image_data, make_image_source, png, text_config
from tests.safety.made import Touch, pickled


def refusal(source, tmp_path, **changes):
    opened = open_source(text_config(source, tmp_path / "cache", **changes))
    with pytest.raises(UserError) as caught:
        list(opened.chunks("train", "data.train_split", {"data.text_column": "text"}, 10))
    message = str(caught.value)
    assert "\n" not in message
    return message


def card(directory: Path, files: str) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files:\n  - {{split: train, path: '{files}'}}\n---\n"
    )
    return directory


@pytest.mark.parametrize("path", ["../secret.txt", "{tmp}/secret.txt", "a/../../secret.txt", "../secr*.txt"])
def test_a_card_names_no_file_of_elsewhere(path, tmp_path):
    (tmp_path / "secret.txt").write_text("a secret\n")
    source = card(tmp_path / "theirs", path.format(tmp=tmp_path))
    message = refusal(source, tmp_path)
    assert "names a file outside of the directory" in message or "cannot be read" in message
    assert "a secret" not in message


@pytest.mark.parametrize("path", ["http://127.0.0.1:{port}/a.csv", "zip://*.csv::http://127.0.0.1:{port}/a.zip"])
@pytest.mark.parametrize(
    "key", ["data_files: {{split: train, path: '{path}'}}", "data_files: ['{path}']", "data_dir: '{path}'"]
)
def test_a_card_has_no_server_asked(path, key, tmp_path):
    source = tmp_path / "theirs"
    source.mkdir()
    (source / "train.csv").write_text("text\na\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = path.format(port=server.getsockname()[1])
        (source / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  {key.format(path=where)}\n---\n")
        message = refusal(source, tmp_path)
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()
    assert "which is no file of the directory; put the file there" in message


@pytest.mark.parametrize("name", ["theirs.py", "data.pkl", "data.pickle", "data.h5", "data.xml"])
def test_code_and_pickles_are_no_dataset(name, tmp_path):
    source = tmp_path / "theirs"
    source.mkdir()
    ran = tmp_path / "ran"
    content = f"open({str(ran)!r}, 'w')\n".encode() if name.endswith(".py") else pickled(ran)
    (source / name).write_bytes(content)
    (source / "theirs.py").write_text(f"open({str(ran)!r}, 'w')\n")
    assert refusal(source, tmp_path).startswith(f"data.source={source}: ")
    assert not ran.exists()


def test_a_pickle_within_an_archive_is_not_loaded(tmp_path):
    import io
    import tarfile

    source = tmp_path / "theirs"
    source.mkdir()
    ran = tmp_path / "ran"
    array = io.BytesIO()
    np.save(array, np.array([Touch(ran)], object), allow_pickle=True)
    members = {"0.txt": b"good", "0.npy": array.getvalue(), "0.pkl": pickled(ran), "0.pth": pickled(ran)}
    with tarfile.open(source / "train.tar", "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert refusal(source, tmp_path).startswith("data.")
    assert not ran.exists()
    assert pickle.loads(members["0.pkl"]) > 2  # the attack works where nothing is done against it
    assert ran.exists()


def bomb(file: Path, side: int) -> Path:
    """A picture of so many pixels a side in a few bytes."""
    Image.new("1", (side, side)).save(file, "png")
    return file


@pytest.mark.parametrize("share", [1.5, 3])
def test_a_picture_of_too_many_pixels_is_not_decoded(share, tmp_path, monkeypatch, recwarn):
    """Pillow itself only warns of one above its limit, and refuses from twice as many on."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(ValueError, match="pixels"):
        open_image(bomb(tmp_path / "bomb.png", int((share * 10_000) ** 0.5)))
    assert open_image(bomb(tmp_path / "fine.png", 90)).size == (90, 90)
    assert [str(w.message) for w in recwarn] == []


def test_a_bomb_among_training_data_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    images = [np.zeros((8, 8, 3), np.uint8)] * 9 + [np.zeros((20, 20, 3), np.uint8)]
    source = make_image_source(tmp_path / "made", rows={"train": (images, [0, 1] * 5), "test": (images, [0, 1] * 5)})
    with pytest.raises(UserError, match=r"row 9 of data.train_split=train cannot be decoded: .*pixels"):
        image_data(image_config(source, tmp_path / "cache")).loader("train")


@pytest.mark.parametrize("kind", ["EPS", "PDF", "FITS", "IM", "PSD"])
def test_formats_that_start_programs_or_are_rare_are_not_read(kind, tmp_path, monkeypatch):
    file = tmp_path / "picture.png"
    if kind in ("EPS", "PDF", "IM"):
        Image.new("RGB", (8, 8)).save(file, kind)
    else:
        file.write_bytes({"FITS": b"SIMPLE  =                    T", "PSD": b"8BPS\0\1" + b"\0" * 40}[kind])
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises((OSError, ValueError)):
        open_image(file)
    assert kind not in FORMATS


@pytest.mark.parametrize("length", [0, 1, 8, 30, 60, -20, -1])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_truncated_picture_is_refused_or_read(kind, length, tmp_path):
    file = tmp_path / "picture"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(file, kind)
    file.write_bytes(file.read_bytes()[:length])
    with suppress(OSError, ValueError):
        assert open_image(file).size == (16, 16)  # some need not their last bytes


@pytest.mark.parametrize("seed", range(4))
def test_spoilt_pictures_are_refused_or_read(seed, tmp_path):
    random = np.random.default_rng(seed)
    whole = np.frombuffer(png(random.integers(0, 256, (16, 16, 3), np.uint8)), np.uint8)
    for _ in range(50):
        spoilt = whole.copy()
        spoilt[random.integers(0, len(whole), 5)] = random.integers(0, 256, 5)
        file = tmp_path / "picture.png"
        file.write_bytes(spoilt.tobytes())
        with suppress(OSError, ValueError):
            open_image(file)


def test_a_pipe_is_no_picture(tmp_path):
    """Opened, it would wait for ever."""
    import os

    os.mkfifo(tmp_path / "pipe.png")
    for place in ("pipe.png", "."):
        with pytest.raises(ValueError, match="not a file"):
            open_image(tmp_path / place)


def test_nobody_here_asks_for_a_datasets_own_code():
    """The library does not run any since 4.0; were it asked to, it would say so."""
    import datasets

    assert int(datasets.__version__.split(".")[0]) >= 4
    assert sys.modules["datasets"] is datasets


def folder_of_texts(tmp_path):
    for kind in ("a", "b"):
        (tmp_path / "theirs" / kind).mkdir(parents=True)
        (tmp_path / "theirs" / kind / "own.txt").write_text("their own words")
    (tmp_path / "secret.txt").write_text("a secret")
    return tmp_path / "theirs"


@pytest.mark.parametrize("skip", ["fail", "skip"])
@pytest.mark.parametrize("how", ["file", "folder"])
def test_a_folder_of_texts_leads_nowhere_else(how, skip, tmp_path):
    source = folder_of_texts(tmp_path)
    if how == "file":
        (source / "a/link.txt").symlink_to(tmp_path / "secret.txt")
    else:
        (tmp_path / "private").mkdir()
        (tmp_path / "private/x.txt").write_text("a secret")
        (source / "c").symlink_to(tmp_path / "private")
    message = refusal(source, tmp_path, on_bad_row=skip)
    assert "outside of" in message
    assert "a secret" not in message


def test_a_pipe_in_a_folder_or_as_a_table_is_not_waited_for(tmp_path):
    import os

    source = folder_of_texts(tmp_path)
    os.mkfifo(source / "a/pipe.txt")
    assert "pipe.txt cannot be read (is no file)" in refusal(source, tmp_path)
    (tmp_path / "tables").mkdir()
    os.mkfifo(tmp_path / "tables/train.csv")
    assert refusal(tmp_path / "tables", tmp_path).startswith(f"data.source={tmp_path / 'tables'}: ")


def test_places_in_an_arrow_file_that_lead_out_of_it_are_refused(tmp_path):
    """Offsets of texts are numbers in the file; followed as they are, they read memory of elsewhere."""
    import pyarrow as pa

    file, table = tmp_path / "a.arrow", pa.table({"text": ["abc", "def"], "label": ["x", "y"]})
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    whole, own = file.read_bytes(), np.array([0, 3, 6], np.int32).tobytes()
    assert whole.count(own) == 1
    file.write_bytes(whole.replace(own, np.array([0, 2**30, 6], np.int32).tobytes()))
    assert refusal(tmp_path / "a.arrow", tmp_path).startswith(f"data.source={tmp_path / 'a.arrow'}: cannot be read: ")


def test_what_unpacks_to_a_line_without_end_is_bounded(tmp_path, monkeypatch):
    import gzip

    from attnpred.data import formats

    monkeypatch.setattr(formats, "LONGEST_LINE", 2**16)
    monkeypatch.setattr(formats, "BLOCK", 2**16)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "' + b"a" * 2**20))
    assert "line 1 is longer than" in refusal(tmp_path / "a.jsonl.gz", tmp_path)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"text,label\n" + b"a" * 2**20))
    assert "cannot be read" in refusal(tmp_path / "a.csv.gz", tmp_path)
