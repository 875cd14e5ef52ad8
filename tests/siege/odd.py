"""Strategies that spoil documents, bytes and places. Each gives edits of a case."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.siege.case import Edit, packed

DEEP: Any = None
for _ in range(60):
    DEEP = [DEEP]
TEXTS = (
    *(
        "",
        "x",
        "\0",
        "\x1b[2J\x1b]0;x\x07",
        "\u202eevil",
        "\ud800",
        "a\nb",
        "a\rb",
        "é☃",
        " ",
        "x" * 5000,
        "null",
        "true",
    ),
    *(
        "/etc/passwd",
        "{outside}/secret.csv",
        "../outside/secret.csv",
        "../../..",
        "~/.ssh/id",
        "/",
        ".",
        "C:\\x",
        "a/b",
    ),
    *("file:///etc/passwd", "http://127.0.0.1:1/x", "https://user:password@127.0.0.1/x", "zip://a::/b.zip"),
    *("${oc.env:HOME}", "${oc.env:SIEGE_TOKEN}", "${seed}", "${hydra:x}", "$(touch x)", "%s%n", "{}", "{0}"),
    *("os.system", "builtins.eval", "attnpred.models.bert.Bert", "attnpred.config.options.Config", "evil.code.Model"),
    *("nan", "inf", "1e400", "0x10", "1_000", "12:30:45", "2020-01-01", "!!python/none", "9" * 400, "-", "=", "a=b"),
)
NUMBERS = (
    *(0, 1, -1, 2, 255, 256, 65536, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30),
    *(0.5, -0.0, 1e-320, 1e308, float("inf"), float("-inf"), float("nan")),
)
VALUES = (None, True, False, [], {}, [None], [[]], {"": None}, {"x": 1}, [1, "x"], ["x"] * 300, DEEP, *NUMBERS, *TEXTS)
WHOLE = (
    *(
        "",
        "{",
        "}",
        "[",
        "[]",
        "{}",
        "null",
        "7",
        '"x"',
        "\0\1\2",
        "[" * 100_000,
        '{"a":' * 5000,
        "9" * 5000,
        "\ufeff{}",
    ),
    *("NaN", "-Infinity", "1e999", "\n\n\n", "---\n---\n", "a: &a [*a]", "a: !!python/object/apply:os.system [id]"),
    *('{"a": 1, "a": 2}', "\ud800", "- a\n- b", "a: b: c", "\t", "%YAML 9.9\n---\na: 1", "\x1b[2J", "a: 1:00:00:00"),
)
TOKENS = (
    b"\0",
    b"\xff",
    b"\n",
    b"\r",
    b'"',
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"-",
    b"\\",
    b"&a",
    b"*a",
    b"\x80\x81",
)

values = st.sampled_from(VALUES) | st.integers() | st.floats() | st.text(max_size=8)
contents = st.sampled_from(WHOLE) | st.text(max_size=20)


def paths(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in plain containers."""
    if isinstance(document, dict):
        items: Any = document.items()
    elif isinstance(document, list):
        items = enumerate(document[:30])  # of more than that, none is of another kind
    else:
        return
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        document = document[part]
    return document


def changes(file: str, document: Any) -> st.SearchStrategy[Edit]:
    """One value that is another, a neighbour's, gone, or there beside the others."""
    known = [list(path) for path in paths(document)]
    groups = [list(p) for p in [(), *paths(document)] if isinstance(at(document, tuple(p)), dict)]
    plain = [p for p in known if _is_plain(at(document, tuple(p)))]
    where = st.sampled_from(known)
    # a copy: what is put elsewhere may be changed there
    other = st.sampled_from(plain or known).map(lambda path: copy.deepcopy(at(document, tuple(path))))
    kinds = [
        st.tuples(where, values).map(lambda found: ["put", file, *found]),
        where.map(lambda path: ["drop", file, path]),
    ]
    if plain:
        kinds.append(st.tuples(where, other).map(lambda found: ["put", file, *found]))
    if groups:
        more = st.tuples(st.sampled_from(groups), st.sampled_from(["", "x", "_target_", "__class__", "\0"]), values)
        kinds.append(more.map(lambda found: ["put", file, [*found[0], found[1]], found[2]]))
    return st.one_of(kinds[0], *kinds)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return len(value) < 50 and all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def splices(file: str) -> st.SearchStrategy[Edit]:
    """Bytes that are others, gone, or there twice."""
    inserted = st.sampled_from(TOKENS) | st.binary(max_size=6)
    removed = st.integers(0, 8) | st.just(2**40)  # up to the end
    share = st.floats(0, 1, allow_nan=False)
    return st.tuples(share, removed, inserted).map(lambda found: ["splice", file, found[0], found[1], packed(found[2])])


def rewritten(file: str) -> st.SearchStrategy[Edit]:
    return contents.map(lambda text: ["write", file, text]) | st.binary(max_size=24).map(
        lambda content: ["bytes", file, packed(content)]
    )


def replaced(file: str) -> st.SearchStrategy[Edit]:
    """Something else under the name: nothing, a directory, a pipe, a link."""
    targets = ("{outside}/secret.csv", "/etc/passwd", "../outside", "nowhere", ".", "..", "{place}")
    return st.one_of(
        st.just(["remove", file]),
        st.just(["folder", f"{file}.d"]),
        st.sampled_from([["pipe", file], ["pickle", file]]),
        st.sampled_from(targets).map(lambda target: ["link", file, target]),
    )


def spoilt(file: str, document: Any) -> st.SearchStrategy[Edit]:
    """Whatever can be wrong with a file that holds a document."""
    some = changes(file, document)
    return st.one_of(some, some, some, some, splices(file), rewritten(file), replaced(file))


def edits(one: st.SearchStrategy[Edit], most: int = 3) -> st.SearchStrategy[tuple[Edit, ...]]:
    """Mostly a single one: of several, the first hides what the others would find."""
    return st.one_of(one.map(lambda e: (e,)), st.lists(one, min_size=1, max_size=most).map(tuple))
