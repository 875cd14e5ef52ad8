"""Imports that a library makes in passing, put off until something needs them.

Lightning imports torchmetrics, and that torchvision, transformers, scipy.signal and matplotlib for metrics that most
runs never touch. It imports torch's compiler too, for runs that compile. Both take half of the time until a launch can
start. While these libraries are imported, stand-ins take their place; whoever uses one afterwards has the real thing.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


class LazyModule(ModuleType):
    """Stands in for a module, or for what was read from or returned by a stand-in."""

    def __init__(self, name: str, real: Callable[[], Any], importer: "LazyImports") -> None:
        super().__init__(name)
        self.__path__ = []  # modules inside it can be imported too
        self._real = real
        self._importer = importer

    def _next(self, name: str, use: Callable[[Any], Any]) -> Any:
        if self._importer.busy:
            return LazyModule(f"{self.__name__}.{name}", lambda: use(self._real()), self._importer)
        return use(self._real())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._next(name, lambda real: getattr(real, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._next("()", lambda real: real(*args, **kwargs))

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._real(),)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._real())


class LazyImports(MetaPathFinder, Loader):
    """While the module `asking` is imported, `names` and all inside them are stand-ins."""

    def __init__(
        self, asking: str, names: Sequence[str], around: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self.asking = asking
        self.names = names
        self.around = around  # the import
        self.busy = False

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == self.asking:
            spec = PathFinder.find_spec(name, path, target)
            if spec and spec.loader:
                self.loader, spec.loader = spec.loader, self
            return spec
        parent = name.rpartition(".")[0]
        inside = isinstance(sys.modules.get(parent), LazyModule)
        if self.busy and (inside or (name in self.names and PathFinder.find_spec(name, path))):
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        if spec.name == self.asking:
            return self.loader.create_module(spec)
        return LazyModule(spec.name, lambda: import_module(spec.name), self)

    def exec_module(self, module: ModuleType) -> None:
        if isinstance(module, LazyModule):
            return
        module.__loader__ = self.loader
        if module.__spec__:
            module.__spec__.loader = self.loader
        self.busy = True
        try:
            with self.around():
                self.loader.exec_module(module)
        except Exception:
            # it asks more of a stand-in than one can give
            self.end()
            for name in [name for name in sys.modules if name.startswith(f"{self.asking}.")]:
                del sys.modules[name]
            self.loader.exec_module(module)
        finally:
            self.end()

    def end(self) -> None:
        """From here on all imports are real."""
        if not self.busy:
            return
        self.busy = False
        sys.meta_path.remove(self)
        for name, module in list(sys.modules.items()):
            if isinstance(module, LazyModule):
                parent, _, child = name.rpartition(".")
                del sys.modules[name]
                vars(sys.modules.get(parent, self)).pop(child, None)


def install() -> None:
    """For the first import of each from now on, if there was none before."""
    metrics = ("matplotlib", "scipy.signal", "torchvision", "transformers")
    for library in (
        LazyImports("torchmetrics", metrics),
        LazyImports("lightning_fabric", (COMPILER,), _undecorated),
        LazyImports("pytorch_lightning", (COMPILER,), _undecorated),
    ):
        if library.asking not in sys.modules and COMPILER not in sys.modules:
            sys.meta_path.insert(0, library)


@contextmanager
def _undecorated() -> Iterator[None]:
    """Has `torch.compiler.disable` return functions as they are: the real one imports the compiler.

    What Lightning decorates is never inside what a run compiles, which is its model alone.
    """
    import torch

    real = torch.compiler.disable
    torch.compiler.disable = _as_it_is
    try:
        yield
    finally:
        torch.compiler.disable = real


def _as_it_is(fn: Any = None, recursive: bool = True, **_: Any) -> Any:
    return (lambda given: given) if fn is None else fn
