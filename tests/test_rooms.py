"""Who imports whom, as written: no modules in a circle, no rooms in a circle, scripts and tests apart.

Imports inside functions, and those for types alone, count like any other. A room is what lies directly in `attnpred/`:
a folder or a file.
"""

import ast
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
Graph = Mapping[str, set[str]]


def modules(root: Path, package: str) -> dict[str, Path]:
    """The files below a package by their dotted names."""
    found = {}
    for file in (root / package).rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(file: Path, name: str) -> Iterator[str]:
    """Dotted names that a module's text imports; of what stands after `from x import` both x and x.name."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def graph(root: Path, package: str) -> Graph:
    """Each module, and the modules of the same package that it imports."""
    files = modules(root, package)
    edges: dict[str, set[str]] = {}
    for name, file in files.items():
        targets = (t if t in files else t.rpartition(".")[0] for t in imported(file, name))
        edges[name] = {target for target in targets if target in files and target != name}
    return edges


def room(module: str) -> str:
    """`attnpred.data.cache` lies in `attnpred.data`; what is no deeper is a room of its own."""
    return ".".join(module.split(".")[:2])


def rooms(edges: Graph) -> Graph:
    between: dict[str, set[str]] = {room(module): set() for module in edges}
    for module, targets in edges.items():
        between[room(module)] |= {room(target) for target in targets} - {room(module)}
    return between


def circle(edges: Graph) -> list[str]:
    """One that there is, from its first member back to it; nothing where there is none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(node: str) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for target in sorted(edges.get(node, ())):
            if found := visit(target):
                return found
        done.add(path.pop())
        return []

    return next(filter(None, map(visit, sorted(edges))), [])


def told(found: list[str], edges: Graph) -> str:
    """The circle, and who in it imports what."""
    steps = itertools.pairwise(found)
    who = [
        f"  {module} imports {target}"
        for one, other in steps
        for module, targets in sorted(edges.items())
        for target in sorted(targets)
        if (room(module), room(target)) == (one, other) or (module, target) == (one, other)
    ]
    return "\n".join([f"a circle: {' > '.join(found)}", *who])


def strangers(root: Path, package: str, other: str) -> list[str]:
    """Where a package imports another one."""
    return [
        f"{file.relative_to(root)} imports {target}"
        for name, file in sorted(modules(root, package).items())
        for target in imported(file, name)
        if target.split(".")[0] == other
    ]


def test_modules_make_no_circle():
    edges = graph(REPOSITORY, "attnpred")
    assert len(edges) > 50
    assert (found := circle(edges)) == [], told(found, edges)


def test_rooms_make_no_circle():
    edges = graph(REPOSITORY, "attnpred")
    assert (found := circle(rooms(edges))) == [], told(found, edges)


@pytest.mark.parametrize(("one", "other"), [("scripts", "tests"), ("tests", "scripts"), ("attnpred", "tests")])
def test_none_imports_the_other(one, other):
    assert strangers(REPOSITORY, one, other) == []


@pytest.fixture
def made(tmp_path):
    """A tree of files by their names and texts."""

    def make(**texts):
        for name, text in texts.items():
            file = tmp_path.joinpath("attnpred", *name.split("__")).with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            (file.parent / "__init__.py").touch()
        (tmp_path / "attnpred" / "__init__.py").touch()
        return graph(tmp_path, "attnpred")

    return make


def test_what_goes_one_way_is_no_circle(made):
    edges = made(
        low__a="import os\n",
        low__b="from attnpred.low.a import name\nfrom attnpred.low import a\n",
        high__c="import attnpred.low.b\nfrom attnpred.low.a import name\n",
        top="from attnpred.high import c\nfrom attnpred.low import b\n",
    )
    assert edges["attnpred.low.b"] == {"attnpred.low.a"}
    assert edges["attnpred.high.c"] == {"attnpred.low.a", "attnpred.low.b"}
    assert circle(edges) == circle(rooms(edges)) == []


@pytest.mark.parametrize(
    "back",
    [
        "from attnpred.low.a import name\n",
        "def late():\n    from attnpred.low import a\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import attnpred.low.a\n",
        "from . import a\n",
        "from ..low.a import name\n",
    ],
)
def test_a_circle_of_modules_is_found_however_it_is_closed(made, back):
    edges = made(low__a="from attnpred.low.b import name\n", low__b=back, top="from attnpred.low import a\n")
    found = circle(edges)
    assert found == ["attnpred.low.a", "attnpred.low.b", "attnpred.low.a"]
    assert "attnpred.low.b imports attnpred.low.a" in told(found, edges)


def test_a_circle_of_rooms_is_found_where_modules_make_none(made):
    edges = made(
        low__a="",
        low__b="from attnpred.high.c import name\n",
        high__c="from attnpred.low.a import name\n",
    )
    assert circle(edges) == []
    found = circle(rooms(edges))
    assert found == ["attnpred.high", "attnpred.low", "attnpred.high"]
    assert "attnpred.low.b imports attnpred.high.c" in told(found, edges)


def test_an_import_from_elsewhere_is_told(made, tmp_path):
    made(a="def late():\n    from tests.made import name\n")
    assert strangers(tmp_path, "attnpred", "tests") == ["attnpred/a.py imports tests.made.name"]
