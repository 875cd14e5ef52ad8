"""Reading a class of options out of a file without running the rest of that file, which may import torch.

The file's statements run one by one, each only when a name that it defines is asked for. What they import from other
files of attnpred or of a trusted package is read in the same way. Other imports happen, once their name is asked for.
"""

import ast
import builtins
import functools
import importlib
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import Any

from attnpred.config import packages
from attnpred.errors import UserError, suggest

LIGHT = "attnpred.config"  # whose modules are imported as they are
COMPOUND = (ast.If, ast.Try, ast.With, ast.For, ast.While)


def read(module: str, name: str) -> Any:
    """What the name stands for in that module; None where the module has no such name of its own."""
    ours = module.partition(".")[0] == packages.OURS.name
    with nullcontext() if ours else packages.theirs():
        part = _part(module)
        return part.value(name) if part is not None and name in part.statements else None


def check(dotted: str, place: str) -> None:
    """Raises where a name is in no trusted package, or where its file surely lacks it; runs nothing of it."""
    packages.require(dotted, place)
    module, _, name = dotted.rpartition(".")
    with packages.theirs():
        part = _part(module)
    if part is not None and not part.open and name not in part.statements:
        known = [f"{module}.{one}" for one in part.statements]
        raise UserError(f"{place}={dotted}: {part.file} holds no {name}; mend the name{suggest(dotted, known)}")


class Part:
    """A module of which no more runs than what was asked for."""

    def __init__(self, module: str, file: Path) -> None:
        self.module, self.file = module, file
        body = ast.parse(file.read_bytes(), str(file)).body
        self.statements: dict[str, list[ast.stmt]] = {}  # by the names that they define, in order
        for statement in _flat(body):
            for name in _defined(statement):
                self.statements.setdefault(name, []).append(statement)
        self.stars = [node for node in body if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"]
        # whether it may have names that its text does not tell
        self.open = bool(self.stars) or "__getattr__" in self.statements
        self.begun: set[int] = set()
        self.space: dict[str, Any] = {"__name__": module, "__file__": str(file), "__builtins__": Names(self)}

    def value(self, name: str) -> Any:
        """Runs what defines the name, unless it ran before."""
        if name not in self.space:
            for statement in self.statements.get(name, []):
                self._run(statement, name)
        if name not in self.space and not self.from_stars(name):
            raise NameError(f"name {name!r} is not defined")
        return self.space[name]

    def _run(self, statement: ast.stmt, name: str) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.space[name] = self._imported(statement, name)
        elif id(statement) not in self.begun:
            self.begun.add(id(statement))
            bare = _Bare().visit(statement)  # no sooner, since of most statements nobody asks
            code = compile(ast.Module([bare], []), str(self.file), "exec", dont_inherit=True)
            exec(code, self.space)

    def _imported(self, statement: ast.Import | ast.ImportFrom, name: str) -> Any:
        alias = next(one for one in statement.names if name in (one.asname, one.name, one.name.partition(".")[0]))
        if isinstance(statement, ast.ImportFrom):
            return _member(self._source(statement), alias.name)
        return _module(alias.name if alias.asname else name)

    def _source(self, statement: ast.ImportFrom) -> str:
        """The module that it imports from, in full."""
        here = self.module if self.file.name == "__init__.py" else self.module.rpartition(".")[0]
        return resolve_name("." * statement.level + (statement.module or ""), here)

    def from_stars(self, name: str) -> bool:
        """Whether one of the modules of which everything is imported has the name, which then is here too."""
        for statement in self.stars:
            try:
                self.space[name] = _member(self._source(statement), name)
                return True
            except ImportError:
                continue
        return False


class Names(dict[str, Any]):
    """The builtins of a `Part`. Python asks here for every name that does not exist yet, which is then defined."""

    def __init__(self, part: Part) -> None:
        # these two Python looks up without asking
        super().__init__(__import__=builtins.__import__, __build_class__=builtins.__build_class__)
        self.part = part

    def __missing__(self, name: str) -> Any:
        if name in self.part.statements or (self.part.stars and not hasattr(builtins, name)):
            return self.part.value(name)
        return vars(builtins)[name]


class Module(ModuleType):
    """Stands for a module that is read in parts."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _member(self.__name__, name)


class _Bare(ast.NodeTransformer):
    """Takes away what only type checkers need, and writes out annotations that are texts.

    Functions' annotations may name torch, which need not be imported to read options.
    """

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if isinstance(node.annotation, ast.Constant) and isinstance(node.annotation.value, str):
            node.annotation = ast.copy_location(ast.parse(node.annotation.value, mode="eval").body, node.annotation)
            ast.fix_missing_locations(node)
        return self.generic_visit(node)


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module; those under TYPE_CHECKING as if they stood there without it."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from _flat([*node.body, *node.orelse])
        else:
            yield node


def _defined(statement: ast.stmt) -> set[str]:
    """The names that a statement binds in its module."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.ImportFrom):
        return {alias.asname or alias.name for alias in statement.names} - {"*"}
    inner = [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt | ast.ExceptHandler)]
    found = {name for node in inner for name in (_defined(node) if isinstance(node, ast.stmt) else _caught(node))}
    if isinstance(statement, COMPOUND):
        return found
    stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return found | {node.id for node in stored}


def _caught(handler: ast.ExceptHandler) -> set[str]:
    return {name for statement in handler.body for name in _defined(statement)}


@functools.cache
def _parsed(module: str, file: Path) -> Part:
    return Part(module, file)


def _part(module: str) -> Part | None:
    """The module, to be read in parts; None where it has no file that may be."""
    file = packages.file_of(module)
    return None if file is None else _parsed(module, file)


def _module(name: str) -> Any:
    light = name.partition(".")[0] in sys.stdlib_module_names or f"{name}.".startswith(f"{LIGHT}.")
    if light or name == "attnpred.errors" or _part(name) is None:
        return importlib.import_module(name)
    return Module(name)


def _member(module: str, name: str) -> Any:
    """What `from module import name` binds."""
    found = _module(module)
    if not isinstance(found, Module):
        try:
            return getattr(found, name)
        except AttributeError:
            return importlib.import_module(f"{module}.{name}")
    part = _part(module)
    assert part is not None
    if name in part.statements:
        return part.value(name)
    if part.from_stars(name):
        return part.space[name]
    if _part(f"{module}.{name}") is None:
        raise ImportError(f"cannot import name {name!r} from {module!r} ({part.file})")
    return Module(f"{module}.{name}")
