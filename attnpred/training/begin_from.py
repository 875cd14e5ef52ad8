"""A new model that begins with the weights of another run."""

from dataclasses import dataclass
from typing import Any

from attnpred.config import compose, schema
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.modalities import load_target
from attnpred.models import slimming
from attnpred.models.adapters import plain_name
from attnpred.runs.run import Run, refuse_not_finite


@dataclass(frozen=True)
class Begun:
    """The run that a model begins with, as its data need it: what tokens meant there."""

    run: Run
    reader: Any

    @classmethod
    def of(cls, name: str | None) -> "Begun | None":
        return None if name is None else cls(run := Run.find(name), run.reader())

    def member(self, name: str) -> "Begun | None":
        """Of one of several inputs; None where the run has no such input."""
        found = getattr(self.reader, "readers", {}).get(name)
        return None if found is None else Begun(self.run, found)

    def target(self) -> Any:
        """The specification of the run's target."""
        return load_target(self.run.path, schema.load(self.run.config().task._target_).Spec)


def begin_from(model: Any, name: str | None) -> None:
    """Gives a new model the weights of the run `name`, those whose names and shapes agree, and says which do not."""
    if name is None:
        return
    source = Run.find(name)
    kind = compose.file_of(source.config().model._target_)
    if kind != compose.file_of(model.config._target_):
        raise UserError(f"model.init_from={name}: holds the weights of a {kind}; give a run of this model")
    fill(model, _slimmed(source, model.config.slim), f"model.init_from={name}")
    refuse_not_finite(model, source.checkpoint())


def _slimmed(source: Run, kept: slimming.Kept) -> dict[str, Any]:
    """The run's weights, of which what `kept` does not name has left."""
    before = source.config().model.slim
    if kept == before:
        return source.weights()
    model = source.load_model()
    counts = {group.name: group.count for group in slimming.groups(model)}
    whole = {name: max(count, _width(before, name)) for name, count in counts.items()}
    slimming.shrink(model, slimming.within(kept, before, whole))
    return model.state_dict()


def _width(kept: slimming.Kept, name: str) -> int:
    """How many units a group had at least before some of them left."""
    return int(kept[name], 16).bit_length() if name in kept else 0


def fill(model: Any, given: dict[str, Any], place: str) -> None:
    """Takes of the weights `given` those whose names and shapes agree; `place` is the option that named them."""
    own = model.state_dict()
    # where an adapter stands beside a map, that has another name
    named = {key: given[name] for key in own if (name := key if key in given else plain_name(key)) in given}
    fitting = {key: value for key, value in named.items() if own[key].shape == value.shape}
    if not fitting:
        raise UserError(f"{place}: no weight there has a name and shape of one here; give another")
    model.load_state_dict({**own, **fitting})
    left = [key for key in own if key not in fitting]
    rest = f"; fresh: {', '.join(left[:5])}{' …' if len(left) > 5 else ''}" if left else ""
    say(f"{place}: {len(fitting)} of {len(own)} weights taken{rest}")
