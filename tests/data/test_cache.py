"""Entries are made once, by one process, and damage is noticed."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attnpred.data import cache
from attnpred.errors import UserError
from tests.data.made import make_text_source, text_config, text_data

ROOT = Path(__file__).parents[2]


def write(directory: Path) -> None:
    (directory / "a.bin").write_bytes(bytes(range(256)) * 16)


def make(root, build=write, key="k", check=lambda: None):
    return cache.entry(str(root), "kind", {"key": key}, "things", check, build)


def test_an_entry_is_made_once(tmp_path, capsys):
    place = make(tmp_path)
    assert (place / "a.bin").stat().st_size == 4096
    assert make(tmp_path, build=None) == place
    assert make(tmp_path, key="other") != place
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.count("preparing things") == 2


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(directory):
        write(directory)
        raise UserError("bad row")

    with pytest.raises(UserError, match="bad row"):
        make(tmp_path, fail)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".TAG", ".lock"]


def test_a_failed_check_creates_nothing(tmp_path):
    def fail():
        raise UserError("absent")

    with pytest.raises(UserError, match="absent"):
        make(tmp_path / "new", check=fail)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda p: (p / "a.bin").unlink(), "a.bin is missing"),
        (lambda p: (p / "a.bin").write_bytes(b"x"), "a.bin has another size"),
        (lambda p: (p / "a.bin").write_bytes(bytes(4096)), "a.bin has another content"),
        (lambda p: (p / cache.MANIFEST).write_text("{"), "manifest.json"),
        (lambda p: (p / cache.MANIFEST).write_text("[]"), "manifest.json"),
        (lambda p: (p / cache.MANIFEST).unlink(), "manifest.json is missing"),
    ],
)
def test_damage_is_noticed_and_repaired(tmp_path, capsys, harm, said):
    place = make(tmp_path)
    harm(place)
    capsys.readouterr()
    assert make(tmp_path) == place
    assert (place / "a.bin").read_bytes() == bytes(range(256)) * 16
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert said in warnings[0]
    assert sorted(p.suffix for p in tmp_path.iterdir()) == ["", ".TAG", ".lock"]


def test_damage_in_a_large_file_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "WHOLE_FILE", 1000)
    monkeypatch.setattr(cache, "SAMPLE", 64)
    place = make(tmp_path)
    assert cache.damage(place) is None
    with (place / "a.bin").open("r+b") as file:
        file.seek(4090)
        file.write(b"\0\0")
    assert cache.damage(place) == "a.bin has another content"


def test_what_a_dead_process_left_is_removed(tmp_path):
    place = make(tmp_path)
    remains = tmp_path / f"{place.name}.part-dead"
    remains.mkdir()
    (place / "a.bin").unlink()
    make(tmp_path)
    assert not remains.exists()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"data\.cache_dir=.*file: cannot keep .*set data\.cache_dir=DIRECTORY"):
        make(tmp_path / "file")


@pytest.mark.parametrize("name", ["thesis.tex", ".hidden", "folder/"])
def test_a_directory_of_other_files_is_not_marked_as_a_cache(name, tmp_path):
    """Backup programs would leave them out."""
    file = tmp_path / name
    file.mkdir() if name.endswith("/") else file.write_text("work of years")
    with pytest.raises(
        UserError, match=rf"holds files that are not attnpred's \({file.name}\).* empty directory, such"
    ):
        make(tmp_path)
    assert list(tmp_path.iterdir()) == [file]
    make(tmp_path / "cache")


def test_another_programs_tag_is_left(tmp_path):
    (tmp_path / cache.TAG).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# Of cargo\n")
    with pytest.raises(UserError, match=r"not attnpred's \(CACHEDIR.TAG\)"):
        make(tmp_path)


@pytest.mark.parametrize("begun", [cache.MARK, "", cache.MARK[:20]])
def test_one_of_ours_goes_on_working(begun, tmp_path):
    """Of an earlier version; or another process is writing the mark at this moment."""
    (tmp_path / cache.TAG).write_text(begun)
    if begun == cache.MARK:
        (tmp_path / "pixels-of-old").mkdir()
    make(tmp_path)
    assert cache.is_ours(str(tmp_path))


def test_the_usual_one_may_hold_what_was_read_of_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache/attnpred/runs").mkdir(parents=True)
    make("~/.cache/attnpred")
    assert (tmp_path / ".cache/attnpred" / cache.TAG).is_file()


def test_a_full_disk(tmp_path):
    def fill(directory):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match="No space left on device"):
        make(tmp_path, fill)


def test_a_limit_on_file_size_reads_as_a_full_disk(tmp_path):
    """A real refusal by the system, in the middle of a preparation."""
    code = (
        "import resource, sys; from attnpred.data import cache; from attnpred.errors import UserError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "build = lambda directory: (directory / 'a').write_bytes(bytes(4096))\n"
        "try: cache.entry(sys.argv[1], 'kind', {}, 'things', lambda: None, build)\n"
        "except UserError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"data.cache_dir={tmp_path}: cannot keep prepared data there (File too large after")


def test_two_processes_prepare_once(tmp_path):
    """The second finds the first at work, says that it waits, and uses what the first made."""
    code = (
        "import sys, time; from pathlib import Path; from attnpred.data import cache\n"
        "root = Path(sys.argv[1])\n"
        "def build(directory):\n"
        "    (root / 'started').touch()\n"
        "    (directory / 'by').write_text(sys.argv[2])\n"
        "    deadline = time.monotonic() + 30\n"
        "    while not (root / 'go').exists() and time.monotonic() < deadline: time.sleep(0.01)\n"
        "place = cache.entry(str(root / 'c'), 'kind', {}, 'things', lambda: None, build)\n"
        "print((place / 'by').read_text())\n"
    )

    def start(name):
        command = [sys.executable, "-c", code, str(tmp_path), name]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    first = start("first")
    while not (tmp_path / "started").exists() and first.poll() is None:
        time.sleep(0.01)
    second = start("second")
    assert second.stderr is not None
    assert second.stderr.readline() == "waiting for another process that is preparing things\n"
    (tmp_path / "go").touch()
    assert first.communicate()[0] == second.communicate()[0] == "first\n"


def test_second_start_reads_the_entry_alone(text_source, tmp_path):
    options = text_config(text_source, tmp_path)
    text_data(options).loader("train")
    code = (
        "import sys; from pathlib import Path; from tests.data.made import text_config, text_data\n"
        f"data = text_data(text_config({str(text_source)!r}, Path({str(tmp_path)!r})))\n"
        "print(len(data.loader('train')), data.target_spec.classes)\n"
        "assert not {'datasets', 'transformers'} & set(sys.modules), 'slow imports'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "14 ('bad', 'good')\n"


@pytest.mark.parametrize("linked", [False, True])
def test_a_changed_source_is_prepared_again(tmp_path, linked):
    source = make_text_source(tmp_path / "s", {"train": 40, "test": 10})
    if linked:
        (source / "plain_text").rename(tmp_path / "elsewhere")
        (source / "plain_text").symlink_to(tmp_path / "elsewhere")
    assert len(text_data(text_config(source, tmp_path / "c")).loader("test")) == 1
    make_text_source(tmp_path / "s", {"train": 40, "test": 20})
    assert len(text_data(text_config(source, tmp_path / "c")).loader("test")) == 2
