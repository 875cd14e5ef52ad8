"""Several tasks at once: each has a target, a head and metrics of its own, on one body that all share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnpred.config import schema
from attnpred.config.options import DataConfig
from attnpred.contracts import AnswerSpec, Batch, ModelOutput
from attnpred.data.several_target import SEPARATOR, MemberSpecs, SeveralTarget
from attnpred.data.several_target import Member as MemberTarget
from attnpred.errors import UserError
from attnpred.tasks.balance import Balance
from attnpred.tasks.base import Claim, Task
from attnpred.tasks.member import Member
from attnpred.tasks.several_options import SUM, SeveralConfig, listed


class Metrics(nn.ModuleDict):
    """The members' metrics of one split."""

    def reset(self) -> None:
        one: Any
        for one in self.values():
            metric: Any = one
            metric.reset()


class Several(Task):
    Spec = MemberSpecs
    scored = "the first task's score"
    config: SeveralConfig
    spec: MemberSpecs

    def __init__(self, config: SeveralConfig, spec: MemberSpecs) -> None:
        super().__init__(config, spec)
        if config.members.keys() != spec.members.keys():
            raise UserError("spec.json: describes other tasks than config.yaml names; restore the files")
        self.members: dict[str, Member] = {}
        start = 0
        for name, one in config.members.items():
            kind = schema.load(one.task._target_)
            try:
                own = kind(one.task, kind.Spec.from_dict(spec.members[name]))
            except ValueError as error:
                raise UserError(f"spec.json: of the task {name}, {error}; restore the file") from None
            self.members[name] = Member(name, own, start)
            start += own.answer.width
        self.balance = Balance(config.weighting, len(self.members), config.asymmetry)

    @property
    def bounded(self) -> bool:  # type: ignore[override]
        return all(one.bounded for one in self.members.values())

    @classmethod
    def settled(cls, config: SeveralConfig, data: DataConfig) -> SeveralConfig:
        return config.settled(data)

    @classmethod
    def target(cls, config: SeveralConfig, columns: Sequence[str], option: str) -> SeveralTarget:
        found = {}
        for name, one in config.members.items():
            kind = schema.load(one.task._target_)
            place = f"task.members.{name}.column"
            found[name] = MemberTarget(kind.target(one.task, listed(one.column), place), kind.Spec)
        return SeveralTarget(found, option)

    @property
    def answer(self) -> AnswerSpec:
        answers = tuple(one.answer for one in self.members.values())
        return AnswerSpec(sum(one.width for one in answers), exclusive=False, answers=answers)

    def views(self) -> dict[str, Task]:
        return dict(self.members)

    # Training

    def seen(self, batch: Batch) -> Batch:
        """What the first member asks for that asks for more than the batch."""
        asked = (one.task.seen(batch) for one in self.members.values())
        return next((found for found in asked if found is not batch), batch)

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        losses = torch.stack([one.loss(output, batch) for one in self.members.values()])
        return (losses * self._shares(losses.device) * self.balance.weights(losses.device)).sum()

    def _shares(self, device: torch.device) -> Tensor:
        return torch.tensor([one.weight for one in self.config.members.values()], device=device)

    def learn(self, model: nn.Module, output: ModelOutput, batch: Batch) -> None:
        if self.config.weighting != "fixed":
            losses = [one.loss(output, batch) for one in self.members.values()]
            self.balance.learn(losses, [one.weight for one in self.config.members.values()], model)

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, one in self.members.items():
            found |= {f"{name}{SEPARATOR}{key}": value for key, value in one.figures(output, batch).items()}
        if self.config.weighting != "fixed":
            weights = self.balance.weights(output.answer.device) * len(batch)
            found |= {f"{name}{SEPARATOR}weight": value for name, value in zip(self.members, weights, strict=True)}
        return found

    def soften(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        found: dict[str, Tensor] = {}
        for name, one in self.members.items():
            begin = name + SEPARATOR
            own = {k.removeprefix(begin): v for k, v in targets.items() if k.startswith(begin)}
            if (soft := one.task.soften(own)) is None:
                return None
            found |= {begin + key: value for key, value in soft.items()}
        return found

    # Measuring

    def metrics(self) -> Metrics:
        return Metrics({name: one.metrics() for name, one in self.members.items()})

    def update_metrics(self, metrics: Metrics, output: ModelOutput, batch: Batch) -> None:
        for name, one in self.members.items():
            one.update_metrics(metrics[name], output, batch)

    def results(self, metrics: Metrics, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        scalars: dict[str, Tensor] = {}
        details = {}
        for name, one in self.members.items():
            found, details[name] = one.results(metrics[name], learn=learn)
            scalars |= {f"{name}{SEPARATOR}{key}": value for key, value in found.items()}
        device = next(iter(scalars.values())).device
        losses = (scalars[f"{n}{SEPARATOR}loss"].to(device) * one.weight for n, one in self.config.members.items())
        scalars["loss"] = torch.stack(list(losses)).sum()
        parts = [scalars[name].to(device) * weight for name, weight in self.config.sum_of().items()]
        scalars[SUM] = torch.stack(parts).sum()
        return scalars, {"answers": details, "examples": next(iter(details.values()))["examples"]}

    def state(self) -> dict[str, Any]:
        found = {"members": {name: one.task.state() for name, one in self.members.items()}}
        return {**found, "balance": self.balance.state()} if any(found["members"].values()) or self._moves else {}

    @property
    def _moves(self) -> bool:
        return self.config.weighting != "fixed"

    def load_state(self, state: dict[str, Any]) -> None:
        if not state:
            return
        members = state.get("members")
        if (
            state.keys() != {"members", "balance"}
            or not isinstance(members, dict)
            or members.keys() != self.members.keys()
        ):
            raise ValueError("holds what other tasks learned")
        self.balance.load(state["balance"])
        for name, one in self.members.items():
            one.task.load_state(members[name])

    # Explaining: each view has its own; what is asked of all goes to the task that was chosen of

    def choose(self, output: ModelOutput) -> Tensor:
        return next(iter(self.members.values())).choose(output)

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        which = self.answer.which(choice)
        found = output.answer.new_zeros(len(choice), dtype=torch.float32)
        for number, one in enumerate(self.members.values()):
            rows = (which == number).nonzero()[:, 0]
            if len(rows):
                some = ModelOutput(output.answer[rows])
                found = found.index_copy(0, rows, one.score(some, choice[rows], linear=linear).float())
        return found

    def choice_name(self, choice: int) -> str:
        which = int(self.answer.which(torch.tensor([choice])))
        name, one = list(self.members.items())[which]
        return f"{name}: {one.choice_name(choice)}"

    # Showing

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        rows = zip(*(one.describe(output) for one in self.members.values()), strict=True)
        return [{"answers": dict(zip(self.members, row, strict=True))} for row in rows]

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        said = (f"{n}: {one.headline(described['answers'][n])[0]}" for n, one in self.members.items())
        return "; ".join(said), None

    def truths(self, batch: Batch) -> list[str | None]:
        rows = zip(*(one.truths(batch) for one in self.members.values()), strict=True)
        return [
            None if None in row else "; ".join(f"{n}: {true}" for n, true in zip(self.members, row, strict=True))
            for row in rows
        ]

    def wrong(self, described: dict[str, Any], batch: Batch, row: int) -> bool:
        return any(one.wrong(described["answers"][name], batch, row) for name, one in self.members.items())

    def kept(self, output: ModelOutput, batch: Batch) -> list[dict[str, Any]]:
        truths = {name: one.truths(batch) for name, one in self.members.items()}
        rows = zip(*(one.kept(output, batch) for one in self.members.values()), strict=True)
        return [
            {"kept": {n: {**own, "true": truths[n][i]} for n, own in zip(self.members, row, strict=True)}}
            for i, row in enumerate(rows)
        ]

    def claims(self, row: Mapping[str, Any]) -> list[Claim]:
        found = []
        for name, one in self.members.items():
            for claim in one.claims({**row["answers"][name], **row["kept"][name]}):
                found.append(replace(claim, what=f"{name} {claim.what}".rstrip()))
        return found

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        each = details.get("answers") or {}
        return [text for name, one in self.members.items() if name in each for text in one.tables(each[name], split)]

    def pictures(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        return {
            f"{name}_{key}": picture
            for name, one in self.members.items()
            for key, picture in one.pictures(details["answers"][name]).items()
        }
