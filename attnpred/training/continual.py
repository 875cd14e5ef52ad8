"""Training that goes on from a run, on new data: its weights, vocabulary and classes, and how its tasks fare after."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Self

import pytorch_lightning as lightning
import torch
from torch import Tensor

from attnpred.config import compose, schema
from attnpred.config.options import Config
from attnpred.console.say import say
from attnpred.console.tables import align
from attnpred.contracts import Batch, ModelOutput, ModelSpec
from attnpred.data.batching import BatchLoader
from attnpred.data.targets import Target
from attnpred.errors import UserError
from attnpred.files import read_json, write_json
from attnpred.machine.device import Chosen
from attnpred.modalities import load_target
from attnpred.models import size
from attnpred.models.base import Model
from attnpred.models.predicted import require_predicted
from attnpred.models.views import answered
from attnpred.runs.run import Run, refuse_not_finite
from attnpred.training.begin_from import fill
from attnpred.training.forgetting import Anchor, FormerSelf, Kept, Replay, answer_of

FILE = "continual.json"  # in the run directory: the tasks so far, and the results on each after each
SUMS = ("average", "forgetting", "backward_transfer")


@dataclass(frozen=True)
class Done:
    """Tasks that were learned one after the other, and the results on each of them after each.

    Row i has those after task i, on tasks 0 to i; None where a task's data could not be read.
    """

    names: tuple[str, ...]
    data: tuple[dict[str, Any], ...]  # options, by which each task's data is read again
    rows: tuple[tuple[float | None, ...], ...]

    @classmethod
    def by(cls, run: Run) -> Self:
        """What the run did: by its file where it went on from another on the same task, else one task."""
        config, file = run.config(), run.path / FILE
        if not file.is_file():
            if config.continue_from is not None and run.description()["status"] != "done":
                raise UserError(f"{run.path}: has not come to its end; go on with it by attnpred resume, then from it")
            scores = read_json(run.path / "metrics.json") if (run.path / "metrics.json").is_file() else {}
            score = scores.get("test", {}).get(config.task.monitor) if isinstance(scores, dict) else None
            return cls((config.data.name,), (asdict(config.data),), ((_number(score),),))
        told = read_json(file)
        try:
            names, data = tuple(map(str, told["names"])), tuple(map(dict, told["data"]))
            rows = tuple(tuple(map(_number, row)) for row in told["rows"])
        except (KeyError, TypeError, ValueError):
            names, data, rows = (), (), ()
        if not names or [len(row) for row in rows] != list(range(1, len(names) + 1)) or len(data) != len(names):
            raise UserError(f"{file}: holds no tasks and results; restore the file")
        return cls(names, data, rows)

    def then(self, name: str, data: dict[str, Any], row: Sequence[float | None]) -> "Done":
        taken = sum(one.partition(" ")[0] == name for one in self.names)
        name = f"{name} {taken + 1}" if taken else name
        return Done((*self.names, name), (*self.data, data), (*self.rows, tuple(row)))

    def summary(self, metric: str, mode: str | None) -> dict[str, Any]:
        """The matrix, and what is made of it: the mean after the last task, forgetting, and backward transfer.

        Forgetting is how much worse an earlier task is done than it was at its best, on average; backward transfer how
        much better than when it had just been learned (Lopez-Paz and Ranzato 2017).
        """
        last, sign = self.rows[-1], -1.0 if mode == "min" else 1.0
        known = [value for value in last if value is not None]
        lost, gained = [], []
        for task, now in enumerate(last[:-1]):
            before = [row[task] for row in self.rows[task:-1] if row[task] is not None]
            if now is not None and before:
                lost.append(max(sign * float(value or 0) for value in before) - sign * now)
            if now is not None and (first := self.rows[task][task]) is not None:
                gained.append(sign * (now - first))
        return {
            "metric": metric,
            "tasks": list(self.names),
            "rows": [list(row) for row in self.rows],
            "average": _mean(known),
            "forgetting": _mean(lost),
            "backward_transfer": _mean(gained),
        }


class Earlier:
    """The run that a config goes on from."""

    def __init__(self, run: Run, config: Config) -> None:
        self.run, self.config = run, config
        self.own = run.config()
        if compose.file_of(self.own.model._target_) != compose.file_of(config.model._target_):
            kind = compose.file_of(self.own.model._target_)
            raise UserError(f"{self._place}: is a {kind}; leave model= out, or give a run of this model")
        self.same_task = self.own.task._target_ == config.task._target_

    @classmethod
    def of(cls, config: Config) -> Self | None:
        if config.continue_from is not None:
            return cls(Run.find(config.continue_from), config)
        if config.continual.any():
            raise UserError("continue_from=null: what continual.… keeps is of a run to go on from; name one")
        return None

    @property
    def _place(self) -> str:
        return f"continue_from={self.config.continue_from}"

    @cached_property
    def done(self) -> Done:
        return Done.by(self.run)

    def data(self, target: Target[Any]) -> Any:
        """The new data as the run's model reads it, with the run's classes before those that are new."""
        config, kind = self.config, schema.load(self.config.data._target_)
        reader = self.run.reader()
        if reader.modality != config.data.modality:
            raise UserError(
                f"{self._place}: reads {reader.modality}, the dataset holds {config.data.modality}; use data of "
                "that kind"
            )
        reader = reader.going_on(config.data)
        found = kind(config.data, target, reader=reader)
        if not self.same_task:
            return found
        _ = self.done  # what is wrong with it shows before training
        spec = load_target(self.run.path, schema.load(config.task._target_).Spec)
        if config.continual.classes == "add":
            spec = target.extended(spec, found.target_spec)
        return kind(config.data, target, reader=reader, target_spec=spec)

    def model(self, spec: ModelSpec) -> Model:
        """A model for the new data that begins with the run's weights; of new classes they are fresh."""
        network = schema.load(self.config.model._target_)
        model: Model = size.made(lambda: network.restore(self.config.model, spec, self.run.path), self.config.model)
        require_predicted(model)
        given = self.run.weights()
        if self.same_task:
            before = self.run.reader().specs
            differ = {_length(own) - _length(before[name]) for name, own in spec.inputs.items() if name in before}
            differ.add(spec.answer.width - self.run.task().answer.width)
            self._require_alike(model.state_dict(), given, differ)
            model.load_state_dict({key: _grown(value, given[key]) for key, value in model.state_dict().items()})
        else:
            fill(model, given, self._place)
        refuse_not_finite(model, self.run.checkpoint())
        return model

    def _require_alike(self, own: Mapping[str, Tensor], given: Mapping[str, Tensor], differ: set[int]) -> None:
        """Raises where the models differ in more than what new classes and longer texts make of one."""
        odd = [key for key in {**own, **given} if key not in own or key not in given]
        for key in own if not odd else ():
            sizes = zip(own[key].shape, given[key].shape, strict=False)
            fits = own[key].ndim == given[key].ndim and all(a - b in {0, *differ} for a, b in sizes)
            odd += [] if fits else [key]
        if odd:
            raise UserError(
                f"{self._place}: its model has other weights than this config's ({odd[0]} is one of {len(odd)}); "
                "leave model= and model.… as that run has them"
            )

    def tasks(self, data: Any) -> Iterator[tuple[str, Any]]:
        """Name and data of each earlier task, as the model reads them that is trained on `data`."""
        kind = schema.load(self.config.task._target_)
        for name, options in zip(self.done.names, self.done.data, strict=True):
            config = compose.checked({**compose.plain(self.own), "data": options})
            # they may be a stranger's, who could choose where to write and what to read
            own = replace(config.data, cache_dir=self.config.data.cache_dir, paths_outside=False)
            target = kind.target(self.config.task, *config.target_columns())
            found = schema.load(own._target_)
            yield name, found(own, target, reader=data.reader, target_spec=data.target_spec)

    def kept(self, model: Model, data: Any) -> Kept | None:
        """What is done against forgetting in training of `model`, which is as it begins."""
        options = self.config.continual
        if not options.any():
            return None
        answer, task = self.run.task().answer, self.run.task()
        loaders = [own.loader("train") for _, own in self.tasks(data)] if options.replay or options.ewc else []
        if any(not isinstance(loader, BatchLoader) for loader in loaders):
            raise UserError(
                f"{self._place}: rows of its data were streamed and cannot be drawn again; set continual.replay=0 "
                "and continual.ewc=0"
            )

        def loss(output: ModelOutput, batch: Batch) -> Tensor:
            return task.loss(replace(output, answer=answer_of(output, answer)), batch)

        before = copy.deepcopy(model).eval()
        replay = anchor = former = None
        if options.replay:
            replay = Replay(loaders, options.replay, options.replay_share, self.config.seed)
        if options.ewc:
            few = (batch for loader in loaders for batch in loader.sample(options.fisher_examples))
            anchor = Anchor(before, loss, few)
        if options.distillation:
            former = FormerSelf(before, answer, options.temperature)
        return Kept(options, replay, anchor, former)


def measure(
    config: Config, chosen: Chosen, trainer: lightning.Trainer, learner: Any, data: Any, tested: Mapping[str, Any]
) -> Done | None:
    """The results on every task so far with the weights that were tested; None where training went on from no run.

    `tested`: results on the test part of this task's own data. Collective: every rank calls it.
    """
    earlier = Earlier.of(config)
    if earlier is None or not earlier.same_task:
        return None
    metric = config.task.monitor
    row: list[float | None] = []
    for name, own in earlier.tasks(data):
        score: float | None = None
        if chosen.strategy != "fsdp":  # a part of the model cannot be asked alone
            try:
                shared = {"rank": trainer.global_rank, "world": trainer.world_size}
                score = _score(config, chosen, trainer, learner, own.loader("test", **shared))
            except UserError as error:
                say(f"warning: {name} is not measured: {error}")
        row.append(score)
    return earlier.done.then(config.data.name, asdict(config.data), [*row, _number(tested.get(metric))])


def _score(config: Config, chosen: Chosen, trainer: lightning.Trainer, learner: Any, loader: Any) -> float:
    device = trainer.strategy.root_device
    model, task = learner.model.to(device).eval(), learner.task
    metrics = task.metrics().to(device)
    for batch in islice(loader, config.trainer.limit_batches):
        moved = batch.to(device)
        with torch.inference_mode(), chosen.autocast():
            task.update_metrics(metrics, answered(model, moved, mirror=config.data.mirrors()), moved)
    scalars, _ = task.results(metrics, learn=False)
    return float(scalars[config.task.monitor])


def tell(done: Done, config: Config, directory: Any, monitor: Any, trainer: lightning.Trainer) -> str:
    """Keeps the results, logs them, and returns them as a table that follows others."""
    write_json(directory / FILE, {"names": done.names, "data": done.data, "rows": done.rows})
    metric = config.task.monitor
    found = done.summary(metric, config.task.metrics.get(metric))
    monitor.result["continual"] = found
    values = {f"{metric} on {name}": value for name, value in zip(done.names, done.rows[-1], strict=True)}
    values |= {name: found[name] for name in SUMS}
    monitor.write(trainer, {f"continual/{name}": value for name, value in values.items() if value is not None})
    return f"\n\n{table(found)}"


def table(found: Mapping[str, Any]) -> str:
    """A row a task that was learned, a column a task that was measured then."""
    names = found["tasks"]
    head = [f"{found['metric']} after", *(f"on {name}" for name in names)]
    rows = [
        [name, *("-" if value is None else f"{value:.4f}" for value in row), *[""] * (len(names) - len(row))]
        for name, row in zip(names, found["rows"], strict=True)
    ]
    said = [f"{name.replace('_', ' ')} {found[name]:.4f}" for name in SUMS if found[name] is not None]
    return "\n".join([align([head, *rows]), ", ".join(said)])


def _grown(own: Tensor, given: Tensor) -> Tensor:
    """The tensor `own` with as much of `given` as both have: classes come first that were there before."""
    if own.shape == given.shape:
        return given
    both = tuple(slice(0, min(sizes)) for sizes in zip(own.shape, given.shape, strict=True))
    found = own.clone()
    found[both] = given[both]
    return found


def _length(spec: Any) -> int:
    """The longest text that a model reads; 0 where it reads something else."""
    return int(getattr(spec, "max_length", 0))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
