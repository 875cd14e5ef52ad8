"""Imports that a library makes in passing, put off until something needs them.

Lightning imports torchmetrics, and that torchvision, transformers, scipy.signal and matplotlib for metrics that most
runs never touch. It takes two fifths of the time until a launch can start. While torchmetrics is imported, stand-ins
take their place; whoever uses one afterwards, in whatever metric, has the real thing.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


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

    def __init__(self, asking: str, names: Sequence[str]) -> None:
        self.asking = asking
        self.names = names
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
    """For the first import of torchmetrics from now on, if there was none before."""
    if "torchmetrics" not in sys.modules:
        sys.meta_path.insert(
            0, LazyImports("torchmetrics", ("matplotlib", "scipy.signal", "torchvision", "transformers"))
        )
