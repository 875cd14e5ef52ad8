"""The index is never wrong and never in the tree, whatever happens to either."""

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from attnpred.compare import index, record
from attnpred.compare.record import flat, joined, sections
from attnpred.config import compose
from attnpred.errors import UserError
from tests.compare.made import DEFAULT, make_run


@pytest.fixture
def settled(monkeypatch):
    """As if every file had been written long ago."""
    monkeypatch.setattr(index, "SETTLED", -(10**12))


@pytest.fixture
def reads(monkeypatch):
    """The directories that were read, and not remembered."""
    read, seen = record.read, []
    monkeypatch.setattr(record, "read", lambda path: seen.append(path.name) or read(path))
    return seen


def accuracies(tree):
    return {one.path.name: one.results.get("val/accuracy") for one in index.find([str(tree)]).records}


def listing(tree):
    return {
        path: (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns, path.lstat().st_size)
        for path in [tree, *tree.rglob("*")]
    }


def test_what_is_remembered_is_what_would_be_read(tmp_path, settled, reads, home):
    for i in range(3):
        make_run(tmp_path / "sweep" / str(i), {"optimizer.lr": 0.1 + i}, value=i / 10, packages={"torch": "2.9"})
    first = index.find([str(tmp_path)]).records
    assert sorted(reads) == ["0", "1", "2"]
    again = index.find([str(tmp_path)]).records
    assert len(reads) == 3
    assert again == first
    assert len(list(home.rglob(".cache/attnpred/runs/*.json"))) == 1


def test_nothing_in_the_tree_changes(tmp_path, settled):
    for i in range(2):
        make_run(tmp_path / str(i))
    before = listing(tmp_path)
    for _ in range(2):
        index.find([str(tmp_path)])
    assert listing(tmp_path) == before


def test_any_changed_file_is_read_again(tmp_path, settled, reads):
    run = make_run(tmp_path / "0", value=0.5)
    make_run(tmp_path / "1")
    accuracies(tmp_path)
    for name, text in (
        ("metrics.json", json.dumps({"val": {"best": {"accuracy": 0.75}}})),
        ("run.json", json.dumps({"status": "failed"})),
        ("config.yaml", "seed: 7\n"),
    ):
        reads.clear()
        (run / name).write_text(text)
        found = index.find([str(tmp_path)]).records[0]
        assert reads == ["0"]
    assert found.results["val/accuracy"] == 0.75
    assert found.status == "failed"
    assert found.config == {"seed": 7}


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path, settled):
    file = make_run(tmp_path / "0", value=0.5) / "metrics.json"
    accuracies(tmp_path)
    before = file.stat()
    file.write_text(file.read_text().replace("0.5", "0.6"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert accuracies(tmp_path) == {"0": 0.6}


def test_what_changed_a_moment_ago_is_not_remembered(tmp_path, reads):
    make_run(tmp_path / "0")
    accuracies(tmp_path)
    accuracies(tmp_path)
    assert reads == ["0", "0"]


def test_runs_that_are_gone_or_new_or_moved(tmp_path, settled):
    for i in range(3):
        make_run(tmp_path / "tree" / str(i), value=i / 10)
    accuracies(tmp_path / "tree")
    shutil.rmtree(tmp_path / "tree" / "0")
    make_run(tmp_path / "tree" / "3", value=0.9)
    assert accuracies(tmp_path / "tree") == {"1": 0.1, "2": 0.2, "3": 0.9}
    (tmp_path / "tree").rename(tmp_path / "moved")
    assert index.find([str(tmp_path / "moved")]).records[0].path == tmp_path / "moved" / "1"


@pytest.mark.parametrize("damage", ["", "{", "no digest\n{}", "\0" * 100, None])
def test_a_damaged_index_is_made_anew(tmp_path, settled, home, damage, reads):
    make_run(tmp_path / "0", value=0.5)
    accuracies(tmp_path)
    (file,) = home.rglob(".cache/attnpred/runs/*.json")
    whole = file.read_text()
    # the last kind: one digit is another, and all is well-formed
    file.write_text(whole.replace("0.5", "0.6") if damage is None else damage)
    assert accuracies(tmp_path) == {"0": 0.5}
    assert len(reads) == 2
    assert file.read_text() == whole


def test_an_index_of_other_code_is_made_anew(tmp_path, settled, reads, monkeypatch):
    make_run(tmp_path / "0")
    accuracies(tmp_path)
    monkeypatch.setattr(index, "_code", lambda: "other")
    accuracies(tmp_path)
    assert len(reads) == 2


def test_without_a_place_for_the_index(tmp_path, settled, monkeypatch):
    make_run(tmp_path / "0", value=0.5)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(index, "CACHE", str(tmp_path / "file" / "below"))
    assert accuracies(tmp_path) == {"0": 0.5}


def test_many_at_once(tmp_path, settled, home):
    for i in range(8):
        make_run(tmp_path / str(i), value=i / 10)
    barrier = threading.Barrier(6)

    def look(_):
        barrier.wait()
        return accuracies(tmp_path)

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(look, range(6)))
    assert all(one == {str(i): i / 10 for i in range(8)} for one in results)
    assert accuracies(tmp_path) == results[0]


def test_one_run_does_not_forget_its_neighbours(tmp_path, settled, reads):
    for i in range(3):
        make_run(tmp_path / str(i))
    accuracies(tmp_path)
    assert len(index.find([str(tmp_path / "1"), str(tmp_path), str(tmp_path / "1")]).records) == 3
    accuracies(tmp_path)
    assert len(reads) == 3


def test_what_runs_have_in_common_is_kept_once(tmp_path, settled, home):
    for i in range(4):
        make_run(tmp_path / str(i), {"optimizer.lr": 0.5 + i})
        accuracies(tmp_path)  # each time with what was kept before
        record._section.cache_clear()
    (file,) = home.rglob(".cache/attnpred/runs/*.json")
    parts = json.loads(file.read_text().partition("\n")[2])["parts"]
    assert len(parts) == len(DEFAULT) + 3
    assert len({json.dumps(part) for part in parts}) == len(parts)


def test_foreign_things_are_counted_and_passed_by(tmp_path):
    make_run(tmp_path / "deep" / "er" / "0", value=0.5)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "deep" / "up").symlink_to("..")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "hparams.yaml").write_text("a: 1")
    (tmp_path / "empty").mkdir()
    found = index.find([str(tmp_path)])
    assert [one.path.name for one in found.records] == ["0"]
    assert +found.others == {"symbolic links, which are not followed": 2, "directories that hold no run": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", b'{"status": "do'),
        ("run.json", b"\xff"),
        ("metrics.json", b"[1]"),
        ("metrics.json", b"[" * 100_000),
        ("config.yaml", b"a: ["),
        ("config.yaml", b"a: &a [1]\nb: &b [" + b"*a, " * 999 + b"]\nc: [" + b"*b, " * 999 + b"]"),
    ],
)
def test_what_is_half_written_or_hostile_is_named(tmp_path, name, content):
    run = make_run(tmp_path / "0")
    (run / name).write_bytes(content)
    assert index.find([str(tmp_path)]).records[0].problem == f"{name} cannot be read"


def test_a_pipe_is_not_waited_for(tmp_path):
    run = make_run(tmp_path / "0")
    (run / "metrics.json").unlink()
    os.mkfifo(run / "metrics.json")
    assert index.find([str(tmp_path)]).records[0].problem == "metrics.json cannot be read"


def test_a_run_of_an_older_version(tmp_path):
    run = tmp_path / "0"
    run.mkdir()
    (run / "run.json").write_text('{"status": "done"}')
    (run / "config.yaml").write_text("seed: 1\nmodel: {_target_: attnpred.models.bert.Bert}\n")
    (run / "metrics.json").write_text('{"val": null, "test": {"accuracy": 0.5}, "attention": [3], "steps": 7}')
    (one,) = index.find([str(tmp_path)]).records
    assert one.problem is None
    assert one.config["model"] == "bert"
    assert one.results == {"test/accuracy": 0.5, "steps": 7.0}


def test_no_such_directory():
    with pytest.raises(UserError, match="nowhere: no such directory"):
        index.find(["nowhere"])


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=200))
TREES = st.recursive(
    st.one_of(PLAIN, st.lists(PLAIN, max_size=3)),
    lambda inner: st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None, database=None)
@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), TREES, min_size=1, max_size=5))
def test_a_config_read_in_parts_is_the_config(config):
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    try:
        found = joined(sections(text.encode()))
    except ValueError:  # a text that looks like an alias
        assert "*" in text
        return
    whole = dict(flat(yaml.safe_load(text)))
    assert {name: found[name] for name in whole} == whole


def test_every_option_of_a_real_config_is_there():
    text = compose.as_yaml(compose.compose(["model=bert", "data=sst2"]))
    found = joined(sections(text.encode()))
    assert dict(flat(yaml.safe_load(text))).items() <= found.items()
    assert (found["model"], found["data"], found["task"]) == ("bert", "sst2", "classification")
    assert found["optimizer.lr"] != DEFAULT["optimizer"]["lr"]
