"""Models behind a service: by name and version, side by side, and exchanged without a dropped request."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnpred.config import compose
from attnpred.config.folders import group_options
from attnpred.errors import BadInput, UserError
from attnpred.files import path_of
from attnpred.inference.each import each
from attnpred.inference.export import described
from attnpred.inference.export.session import Exported
from attnpred.inference.monitoring import reference
from attnpred.inference.monitoring.drift import Measure, compare
from attnpred.inference.monitoring.log import Log
from attnpred.inference.monitoring.observer import Observer
from attnpred.inference.predict import Predictor
from attnpred.inference.serving.batcher import Batcher
from attnpred.inference.serving.halves import ready
from attnpred.inference.serving.options import Limits, Precision, Served
from attnpred.inference.tables import input_names
from attnpred.inference.weights import digest_of
from attnpred.runs.run import Run

TRAINED_AS: dict[str, Any] = {
    "float32": "32-true",
    "bf16": "bf16-mixed",
}  # precisions as `trainer.precision` names them
WITHOUT_GRADIENTS = ("attention", "occlusion", "random")  # explainers that an export bears
DIGITS = 6  # of numbers in an answer
LONGEST_NAME = 64
EVERY = 100  # answers, after which drift is computed anew where somebody asks


class Model:
    """A run, or an export of one, that is loaded and ready to answer."""

    def __init__(self, served: Served, precision: Precision, log: Path | None = None, *, inputs: bool = False) -> None:
        """`log`: where statistics of what is answered are kept; with the `inputs` themselves, where so asked."""
        self.served = served
        folder = export_of(served.path, precision)
        self.predictor = _of_run(served.path, precision) if folder is None else Exported(folder)
        self.reader: Any = self.predictor.reader
        self.explainers = [name for name in group_options(compose.APART) if folder is None or name in WITHOUT_GRADIENTS]
        place = Run.find(str(served.path)).checkpoint() if folder is None else folder / described.read(folder).file
        self.digest = digest_of(place)
        self.precision = described.read(folder).precision if folder else self.predictor.chosen.precision
        self.loaded = time.time()
        self._compared, self._drift = 0, list[Measure]()
        self.log = None if log is None else self._logged(log, folder, inputs)
        self.predictor.watch = self.log

    def _logged(self, directory: Path, folder: Path | None, inputs: bool) -> Log:
        about = {"model": self.served.name, "version": self.served.version, "weights": self.digest}
        known = None
        if folder is None:
            run = Run.find(str(self.served.path))
            known = reference.find(run) or reference.make(run, run.config())
        return Log(directory, Observer(self.predictor), known, about, inputs=inputs)

    def drift(self) -> list[Measure]:
        """Of what was answered last; nothing where no log is kept, or the export of a run is served."""
        known = None if self.log is None else self.log.reference
        if self.log is None or known is None:
            return []
        if self.log.count >= self._compared + EVERY:
            self._compared = self.log.count
            self._drift = compare(known.rows, self.log.latest())
        return self._drift

    def describe(self) -> dict[str, Any]:
        """What a client, or the page, must know."""
        task = self.predictor.task
        return {
            "name": self.served.name,
            "version": self.served.version,
            "input": self.reader.name,
            "fields": fields_of(self.reader),
            "answers": task.names(),
            "explainers": self.explainers,
            "precision": self.precision,
            "weights": self.digest,
        }

    def received(self, value: Any, position: int) -> Any:
        return self.reader.received(value, position)

    def work(self, values: Sequence[Any], explainer: str | None, attention: bool) -> list[dict[str, Any] | BadInput]:
        """Answers without what was sent: a picture is no JSON, and a text is known to whoever sent it."""
        found = each(self.predictor, values, explainer, attention)
        return [one if isinstance(one, BadInput) else _plain(self._said(one)) for one in found]

    def _said(self, answer: dict[str, Any]) -> dict[str, Any]:
        said, sure = self.predictor.task.headline(answer)
        rest = {name: value for name, value in answer.items() if name != "input"}
        return {"answer": said, "confidence": sure, **rest}


def _of_run(path: Path, precision: Precision) -> Predictor:
    run = Run.find(str(path))
    config = run.config()
    if precision != "auto":
        config = replace(config, trainer=replace(config.trainer, precision=TRAINED_AS[precision]))
    found = Predictor(run, config)
    ready(found)
    return found


def export_of(path: Path, precision: Precision) -> Path | None:
    """The exported folder to serve: the path itself, or for int8 the one that the run holds; None for the run."""
    if (path / described.FILE).is_file():
        if precision == "bf16":
            raise UserError(f"--precision bf16: {path} is an export, whose numbers are what they are; leave it out")
        return path
    if precision != "int8":
        return None
    files = sorted(Run.find(str(path)).path.glob(f"export/*/{described.FILE}"))
    found = [file.parent for file in files if described.read(file.parent).precision.startswith("int8")]
    if not found:
        raise UserError(f"--precision int8: {path} has no such export; make one by attnpred export {path} --int8")
    return found[0]


def fields_of(reader: Any) -> list[dict[str, Any]]:
    """What is to be given, field by field: its name, none where there is one alone, its kind, and how it is cut."""
    several = getattr(reader, "readers", None)
    if several is not None:
        return [{**fields_of(one)[0], "name": name} for name, one in several.items()]
    names: list[str | None] = [*input_names(reader)] or [None]
    fit = reader.options().get("fit")
    return [{"name": name, "kind": reader.name, "fit": fit if isinstance(fit, str) else None} for name in names]


class Models:
    """Every model with its batcher. A request that began with one ends with it, whatever takes its place meanwhile."""

    def __init__(
        self,
        precision: Precision,
        limits: Limits,
        seen: Callable[[Served, int, float], None],
        load: Callable[[Served, Precision], Any] = Model,
    ) -> None:
        self._precision, self._limits, self._seen, self._load = precision, limits, seen, load
        self._all: dict[str, dict[str, tuple[Any, Batcher]]] = {}

    def add(self, model: Any) -> Batcher | None:
        """Takes a loaded model; the batcher of the one that it takes the place of, which is to be closed."""
        served = model.served
        batcher = Batcher(model.work, self._limits, lambda size, seconds: self._seen(served, size, seconds))
        batcher.start()
        versions = self._all.setdefault(served.name, {})
        before = versions.get(served.version)
        versions[served.version] = (model, batcher)
        return None if before is None else before[1]

    def find(self, name: str | None, version: str | None) -> tuple[Any, Batcher]:
        """The newest version, that is the one named last, where none is asked for; KeyError where there is none."""
        if name is None:
            if len(self._all) > 1:
                raise KeyError(f"several models are served; name one of {', '.join(self._all)} as model")
            name = next(iter(self._all))
        if name not in self._all:
            raise KeyError(f"no such model; use one of {', '.join(self._all)}")
        versions = self._all[name]
        if version is not None and version not in versions:
            raise KeyError(f"model {name} has no such version; use one of {', '.join(versions)}")
        return versions[version or list(versions)[-1]]

    def every(self) -> list[tuple[Any, Batcher]]:
        return [pair for versions in self._all.values() for pair in versions.values()]

    def loaded_anew(self, served: Served) -> Any:
        """The model as it lies on disk now; UserError where it cannot be loaded, and the old one stays."""
        return self._load(served, self._precision)

    async def close(self) -> None:
        for _, batcher in self.every():
            await batcher.close()


def parse(words: Sequence[str]) -> list[Served]:
    """RUN, NAME=RUN or NAME@VERSION=RUN; a name is the directory's where none is given, and versions count from 1."""
    found: list[Served] = []
    for word in words:
        label, given, place = word.rpartition("=") if not Path(word).exists() else ("", "", word)
        name, _, version = label.partition("@")
        path = path_of(place)
        name = name if given else path.resolve().name
        version = version or str(1 + sum(one.name == name for one in found))
        for part in (name, version):
            if not part or len(part) > LONGEST_NAME or not all(c.isalnum() or c in "._-" for c in part):
                raise UserError(
                    f"{word}: {part or 'nothing'} is no name of a model; give NAME=RUN, of letters and digits"
                )
        if any((one.name, one.version) == (name, version) for one in found):
            raise UserError(f"{word}: {name} {version} is named twice; give them other versions, as NAME@VERSION=RUN")
        found.append(Served(name=name, version=version, path=path))
    return found


def _plain(value: Any) -> Any:
    """With as many digits as mean something, and without NaN, which JSON has not."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
