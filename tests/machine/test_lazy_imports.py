"""Imports put off: nothing is loaded before it is needed, and what needs it gets the real thing."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from attnpred.machine.lazy_imports import LazyImports, LazyModule

HEAVY = """
from heavy.inner import shape
class Base: pass
def double(number): return 2 * number
def named(name): return lambda function: lambda: f"{name} {function()}"
"""
ASKER = """
import heavy
import heavy.inner as inner
from heavy import Base, double, named
from heavy.inner import shape
@named("a")
def said(): return "word"
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `asker` that imports a package `heavy`."""
    for name, text in {"heavy/__init__.py": HEAVY, "heavy/inner.py": "shape = 3", "asker/__init__.py": ASKER}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    finders, modules = list(sys.meta_path), set(sys.modules)
    yield tmp_path
    sys.meta_path[:] = finders
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def asked(*names: str) -> ModuleType:
    """`asker`, imported while `names` are put off."""
    sys.meta_path.insert(0, LazyImports("asker", names))
    return import_module("asker")


def test_what_is_asked_for_is_loaded_when_it_is_used(packages: Path) -> None:
    asker = asked("heavy")
    assert not {"heavy", "heavy.inner"} & set(sys.modules)
    assert asker.double(4) == 8
    assert sys.modules["heavy"].double(1) == 2
    assert asker.inner.shape == asker.heavy.inner.shape == 3
    assert asker.said() == "a word"
    assert isinstance(sys.modules["heavy"].Base(), asker.Base)
    assert not isinstance(3, asker.Base)

    class Own(asker.Base):  # type: ignore[name-defined, misc]
        pass

    assert issubclass(Own, asker.Base)
    assert Own.__mro__[1] is sys.modules["heavy"].Base


def test_all_is_as_it_was_afterwards(packages: Path) -> None:
    before = list(sys.meta_path)
    asker = asked("heavy")
    assert sys.meta_path == before
    assert not isinstance(import_module("heavy"), LazyModule)
    assert type(asker.__spec__.loader) is type(asker.__loader__) is type(import_module("heavy").__loader__)


def test_a_module_inside_a_real_package_is_put_off_alone(packages: Path) -> None:
    asked("heavy.inner")
    assert "heavy" in sys.modules
    assert "heavy.inner" not in sys.modules
    assert not hasattr(sys.modules["heavy"], "inner")
    assert import_module("heavy.inner").shape == 3


@pytest.mark.parametrize(
    "use",
    ["result = shape + 1", "result = isinstance(3, Base) or 4", "class Own(Base): result = 4\nresult = Own().result"],
)
def test_what_a_stand_in_cannot_give_is_imported_at_once(use: str, packages: Path) -> None:
    (packages / "asker" / "counts.py").write_text(f"from heavy import Base, shape\n{use}")
    (packages / "asker" / "__init__.py").write_text("from asker import counts")
    assert asked("heavy").counts.result == 4
    assert not any(isinstance(module, LazyModule) for module in sys.modules.values())


def test_what_is_not_installed_is_missed_as_ever(packages: Path) -> None:
    (packages / "asker" / "__init__.py").write_text("import absent_package")
    with pytest.raises(ModuleNotFoundError, match="absent_package"):
        asked("absent_package")


def test_a_launch_loads_no_library_for_metrics_it_has_not() -> None:
    code = """
import sys
import attnpred.training.train
heavy = {"matplotlib", "scipy.signal", "torchvision", "transformers"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import torch
from torchmetrics.classification import MulticlassAccuracy
metric = MulticlassAccuracy(3)
metric(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1]))
figure, _ = metric.plot()
assert type(figure).__module__ == "matplotlib.figure", type(figure)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_lightning_brings_no_compiler_and_its_own_functions_stay() -> None:
    said = (
        "import sys, attnpred, pytorch_lightning, torch; "
        "assert 'torch._dynamo' not in sys.modules, 'imported'; "
        "before = torch.compiler.disable; "
        "compiled = torch.compile(lambda x: x + 1, backend='eager'); "
        "assert compiled(torch.ones(1)).item() == 2; "
        "assert before.__module__ == 'torch.compiler'; "
        "from lightning_fabric.wrappers import _unwrap_compiled; "
        "from pytorch_lightning.utilities.compile import _maybe_unwrap_optimized; "
        "model = torch.nn.Linear(1, 1); "
        "assert _unwrap_compiled(torch.compile(model))[0] is model; "
        "module = pytorch_lightning.LightningModule(); "
        "assert _maybe_unwrap_optimized(torch.compile(module)) is module"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
