"""How far the model's attention can be trusted, measured on the same few examples after every validation."""

import time
from collections import defaultdict
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from attnpred.config.options import Removal
from attnpred.contracts import Batch
from attnpred.explain import faithfulness, truth
from attnpred.explain.against_chance import FLOOR, against_chance
from attnpred.explain.base import evidence_parts, look, make
from attnpred.explain.removal import Removing
from attnpred.machine.device import Chosen
from attnpred.statistics import interval
from attnpred.tasks.base import Task
from attnpred.training.callbacks.monitor import Monitor
from attnpred.training.learner import Learner

Measured = dict[str, dict[str, Tensor]]  # explainer → score → one number an example
OWN = "attention"
REMOVAL: Removal = "mask"


class AttentionCheck(Callback):
    """Compares the model's own attention with chance on the main process, which holds the whole model.

    The curves `attention/…` tell of the weights that were validated, the result of those kept.
    """

    def __init__(self, batches: list[Batch], monitor: Monitor, chosen: Chosen) -> None:
        self.batches = batches
        self.monitor = monitor
        self.chosen = chosen

    # before what happens at the end of a validation: an average of the weights is exchanged for them there
    def on_validation_epoch_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING and trainer.is_global_zero:
            assert isinstance(learner, Learner)
            started = time.perf_counter()
            measured = self._measure(learner)
            result = self.monitor.result  # which goes on where a killed run does
            result["attention_seconds"] = result.get("attention_seconds", 0.0) + time.perf_counter() - started
            means = {
                "/".join(filter(None, ("attention", view, score))) + ("" if name == OWN else f"_{name}"): float(
                    n.mean()
                )
                for view, values in measured.items()
                for name, scores in values.items()
                for score, n in scores.items()
                if len(n)
            }
            self.monitor.write(trainer, means)

    def on_test_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(learner, Learner)
        found = {view: self._result(measured) for view, measured in self._measure(learner).items()}
        first = next(iter(found.values()))
        self.monitor.result["attention"] = first | ({"answers": found} if len(found) > 1 else {})

    def _result(self, measured: Measured) -> dict[str, Any]:
        scores = {
            name: {score: list(interval(numbers.numpy())) for score, numbers in found.items() if len(numbers)}
            for name, found in measured.items()
        }
        values = {
            name: {score: dict(enumerate(numbers.tolist())) for score, numbers in found.items()}
            for name, found in measured.items()
        }
        return {
            "removal": REMOVAL,
            "examples": sum(map(len, self.batches)),
            "scores": scores,
            "tests": against_chance(values),
        }

    def _measure(self, learner: Learner) -> dict[str, Measured]:
        """What is measured of each of several answers, by its name; of one answer, by an empty one."""
        views = learner.task.views() or {"": learner.task}
        model, training = learner.model, learner.training
        model.eval()
        found = {name: self._of_task(learner, task) for name, task in views.items()}
        model.train(training)
        return found

    def _of_task(self, learner: Learner, task: Task) -> Measured:
        model = learner.model
        chance, removing = make(FLOOR, model, task), Removing(model, task, REMOVAL)
        found: dict[str, defaultdict[str, list[Tensor]]] = {OWN: defaultdict(list), FLOOR: defaultdict(list)}
        with torch.no_grad(), self.chosen.autocast():
            for held in self.batches:
                batch = held.to(learner.device)
                output, attention = look(model, batch, layers=False)
                batch = task.held(output, batch)
                choice, grids = task.choose(output), attention.grids
                if task is not learner.task:
                    _, attention = look(model, batch, layers=False, choice=choice)
                evidence = evidence_parts(batch, grids)
                for name, importance in {OWN: attention.importance, FLOOR: chance(batch, choice)}.items():
                    scores = faithfulness.brief(removing, batch, choice, importance, grids)
                    if evidence is not None:
                        scores |= truth.scores(importance, evidence)
                    for score, numbers in scores.items():
                        found[name][score].append(numbers.float().cpu())
        return {name: {s: torch.cat(parts) for s, parts in scores.items()} for name, scores in found.items()}
