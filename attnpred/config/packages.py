"""The packages beside attnpred whose classes and files may be used: those that the user named, and no others.

The user names them by `--package`, by ATTNPRED_PACKAGES, or once for all by `attnpred packages --allow`. No config,
run directory or checkpoint can. A package is found without being imported.
"""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException
from typing import Any

from attnpred.errors import Theirs, Untrusted, UserError, suggest

OURS = Path(__file__).parents[1]
READERS = str(Path(__file__).parent)  # whose frames stand between theirs while options are read
VARIABLE = "ATTNPRED_PACKAGES"
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


@dataclass(frozen=True)
class Package:
    """A package that is trusted; `place` is its folder, or its file where it is a single one."""

    name: str
    place: Path

    @property
    def conf(self) -> Path:
        """Its folder of config files, which need not exist."""
        return self.place / "conf"

    def holds(self, file: str) -> bool:
        return file == str(self.place) or file.startswith(f"{self.place}{os.sep}")


_trusted: dict[str, Package] | None = None  # None until somebody asks
_added: list[str] = []  # to sys.path, for packages below the working directory


def trust(named: Sequence[str] = ()) -> None:
    """From here on these packages are trusted, those of the environment, those allowed once, and no others."""
    global _trusted
    for path in _added:
        with suppress(ValueError):
            sys.path.remove(path)
    _added.clear()
    typed = {name: f"--package {name}" for name in named}
    inherited = filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(",")))
    typed = {name: f"{VARIABLE}={name}" for name in inherited} | typed
    found = {name: _find(name, place) for name, place in typed.items()}
    for name in _allowed():
        # an allowed package that was uninstalled meanwhile is missed only by who uses it
        if name not in found and (package := _described(name, _spec(name))) is not None:
            found[name] = package
    _trusted = found


def _allowed() -> list[str]:
    from attnpred.config import allowed

    return allowed.names()


def trusted() -> dict[str, Package]:
    if _trusted is None:
        trust()
    assert _trusted is not None
    return _trusted


def arguments() -> list[str]:
    """What names the same packages on another command line."""
    return [part for name in trusted() for part in ("--package", name)]


def environment() -> dict[str, str]:
    """What names them to a child process."""
    return {VARIABLE: ",".join(trusted())} if trusted() else {}


def conf_folders() -> tuple[Path, ...]:
    return tuple(package.conf for package in trusted().values() if package.conf.is_dir())


def _find(name: str, place: str) -> Package:
    """The package of that name, installed or below the working directory, which then is imported from."""
    if not name.isidentifier():
        whole = name.partition(".")[0].replace("-", "_").strip("/")
        hint = f", as in --package {whole}" if whole.isidentifier() else ""
        raise UserError(f"{place}: no name of a package; give the name that is imported, without dots or paths{hint}")
    if name == OURS.name or name in sys.stdlib_module_names:
        raise UserError(f"{place}: belongs to attnpred or to Python itself; name a package of your own")
    importlib.invalidate_caches()
    here, spec = str(Path.cwd()), _spec(name)
    if spec is None or spec.origin is None:  # a folder without __init__.py, of which Python takes the last
        local = PathFinder.find_spec(name, [here])
        if local is not None:
            spec = local
            if here not in sys.path:
                sys.path.append(here)  # last, so that nothing installed is hidden by what lies there
                _added.append(here)
    package = _described(name, spec)
    if package is None:
        known = [module.name for module in pkgutil.iter_modules([*sys.path, here])]
        raise UserError(
            f"{place}: no such package is installed or lies in {here}; install it, or change to the directory that "
            f"holds it{suggest(name, known)}"
        )
    return package


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _described(name: str, spec: ModuleSpec | None) -> Package | None:
    if spec is None:
        return None
    if spec.origin is not None:
        file = Path(spec.origin)
        return Package(name, file if spec.submodule_search_locations is None else file.parent)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    return next((Package(name, folder) for folder in folders if any(folder.rglob("*.py"))), None)


def file_of(module: str) -> Path | None:
    """The file of a module of attnpred's or of a trusted package; None where there is none that can be read."""
    top, *inner = module.split(".")
    package = trusted().get(top)
    root = OURS if top == OURS.name else package.place if package else None
    if root is None:
        return None
    if root.is_file():
        return root if not inner and root.suffix == ".py" else None
    choices = [root.joinpath(*inner, "__init__.py")]
    if inner:
        choices.append(root.joinpath(*inner[:-1], f"{inner[-1]}.py"))
    return next((file for file in choices if file.is_file()), None)


def require(dotted: str, place: str) -> None:
    """Raises unless `dotted` is a name inside a trusted package; imports nothing."""
    if not DOTTED.fullmatch(dotted):
        raise UserError(f"{place}={dotted}: no dotted name; write package.module.name")
    top = dotted.partition(".")[0]
    if top not in trusted():
        raise Untrusted(f"{place}={dotted}", top)


def resolve(dotted: str, place: str) -> Any:
    """The function or class of a trusted package that the option `place` names; imports its module."""
    require(dotted, place)
    module, _, name = dotted.rpartition(".")
    with theirs():
        try:
            holder = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # of what their file imports
            raise UserError(f"{place}={dotted}: there is no module {error.name}; mend the name") from None
        if not hasattr(holder, name):
            known = [f"{module}.{one}" for one in vars(holder) if not one.startswith("_")]
            raise UserError(f"{place}={dotted}: {module} holds no {name}; mend the name{suggest(dotted, known)}")
        return getattr(holder, name)


def resolve_class(dotted: str, place: str) -> Any:
    """As `resolve`, of a class that can be made: none of its methods is missing."""
    found = resolve(dotted, place)
    if not inspect.isclass(found):
        raise UserError(f"{place}={dotted}: is no class; name one")
    if inspect.isabstract(found):
        raise Theirs(_unfinished(found))
    return found


def _unfinished(kind: type) -> str:
    """What Python would say of a class whose methods are missing, at the place of that class."""
    names = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
    file, line = inspect.getfile(kind), inspect.getsourcelines(kind)[1]
    where = "".join(StackSummary.from_list([FrameSummary(file, line, "<module>")]).format())
    head = "Traceback (most recent call last):\n"
    return f"{head}{where}TypeError: class {kind.__name__} lacks these methods of its base class: {names}\n"


def used(config: Any) -> dict[str, str | None]:
    """The trusted packages that a plain config names something of, with their versions."""
    return {name: version(name) for name in sorted(set(_tops(config))) if name in trusted()}


def _tops(value: Any) -> Iterator[str]:
    if isinstance(value, str) and DOTTED.fullmatch(value):
        yield value.partition(".")[0]
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tops(inner)


def version(name: str) -> str | None:
    """Of the distribution that brings the package; None where it was not installed by one."""
    from importlib import metadata

    with suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    owners = metadata.packages_distributions().get(name)
    return metadata.version(owners[0]) if owners else None


@contextmanager
def theirs() -> Iterator[None]:
    """Turns a mistake in a trusted package's code into `Theirs`."""
    try:
        yield
    except (UserError, Theirs):
        raise
    except Exception as error:
        if (text := told(error)) is None:
            raise
        raise Theirs(text) from None


def told(error: BaseException) -> str | None:
    """The traceback from the first frame in a trusted package on; None where none of its frames lies in one."""
    if isinstance(error, Theirs):
        return error.text
    report = TracebackException.from_exception(error)
    inside = any(_is_theirs(frame.filename) for frame in report.stack)
    if not inside and not (isinstance(error, SyntaxError) and error.filename and _is_theirs(error.filename)):
        return None
    _cut(report)
    return "".join(report.format())


def _cut(report: TracebackException) -> None:
    places = [place for place, frame in enumerate(report.stack) if _is_theirs(frame.filename)]
    kept = report.stack[places[0] :] if places else []
    kept = [frame for frame in kept if not frame.filename.startswith(READERS)]
    report.stack = StackSummary.from_list(kept) if kept else None  # type: ignore[assignment]
    for earlier in (report.__cause__, report.__context__):
        if earlier is not None and earlier.stack is not None:
            _cut(earlier)


def _is_theirs(file: str) -> bool:
    return any(package.holds(file) for package in trusted().values())
