"""The one LightningModule: it trains any model on any task."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from attnpred.config.options import OptimizerConfig
from attnpred.contracts import Batch, ModelOutput
from attnpred.errors import OutOfMemory
from attnpred.models.base import Model
from attnpred.models.embedding import Embedding
from attnpred.runs.checkpoint_files import TASK
from attnpred.tasks.base import Task
from attnpred.training import extras, optimizers
from attnpred.training.adversarial import Adversary
from attnpred.training.attention_loss import attention_loss
from attnpred.training.distillation import Teacher
from attnpred.training.forgetting import Kept
from attnpred.training.schedule import course
from attnpred.training.seen_masked import SeenMasked
from attnpred.training.self_training import Consistency

SMALLER = (
    "; lower data.batch_size and raise trainer.accumulate as much, as trainer.on_oom=halve does by itself, or set "
    "model.recompute=true"
)
OFTEN_SET = frozenset({"_current_fx_name", "batch", "grad_norm", "wants_grad_norm"})  # the first is Lightning's


class Learner(LightningModule):
    """Trains `model` on `task`; `augment` changes training batches of an epoch on the device where they lie.

    With `mirror` validation and test look at each image and its mirror.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        optimizer: OptimizerConfig | None = None,
        augment: Callable[[Any, int], Any] | None = None,
        *,
        mirror: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.options = optimizer
        self.augment = augment
        self.mirror = mirror
        self.teacher: Teacher | None = None
        self.adversary: Adversary | None = None
        self.kept: Kept | None = None  # what is done against forgetting
        self.consistency: Consistency | None = None  # what is learned of rows without labels
        self.loss = extras.loss_of(task)
        self.masked = SeenMasked(model, task.config.seen_masked)
        self.split_metrics = torch.nn.ModuleDict({"val": task.metrics(), "test": task.metrics()})
        further = task.config.further_metrics
        self.further = torch.nn.ModuleDict({split: extras.FurtherMetrics(further) for split in ("val", "test")})
        # What the monitor reads every so often; kept on the device so that no step waits for the host.
        self.steps: list[tuple[Tensor, dict[str, Tensor], int]] = []  # of each batch: mean loss, figures, examples
        self.batch: Batch | None = None  # at work
        self.evaluating = False
        self.attention_losses: list[Tensor] = []
        self.grad_norm: Tensor | None = None
        self.wants_grad_norm = False
        self.details: dict[str, dict[str, Any]] = {}
        self.embeddings = [module for module in model.modules() if isinstance(module, Embedding)]

    def __setattr__(self, name: str, value: Any) -> None:
        """What changes many times a step is no parameter, buffer or module: it need not be looked at as if it were."""
        if name in OFTEN_SET and name in self.__dict__:
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def forward(self, batch: Batch, *, need_attention: bool = False, need_layers: bool = True) -> ModelOutput:
        return self.model(batch, need_attention=need_attention, need_layers=need_layers)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        if self.augment is None or not self.trainer.training:
            return batch
        return self.augment(batch, self.current_epoch)

    def on_train_epoch_start(self) -> None:
        # before the first batch is drawn; the order follows from the epoch alone, whatever ran before
        loader: Any = self.trainer.train_dataloader
        loader.set_epoch(self.current_epoch)

    @contextmanager
    def in_memory(self) -> Iterator[None]:
        """Says which batch it was that did not fit, and what to change."""
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
                raise
            step = self.trainer.global_step + (not self.evaluating)
            stage = " in evaluation" if self.evaluating else ""
            raise OutOfMemory(
                f"out of memory{stage} at step {step}, with a batch of {described(self.batch)}",
                step,
                "; lower data.eval_batch_size" if self.evaluating else SMALLER,
            ) from error

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.step(batch, learn=True)

    def step(self, batch: Batch, *, learn: bool = False) -> Tensor:
        """The loss of a training step, which is also gone through to estimate its memory: then nothing is learned."""
        self.batch = batch
        kind = self.model.config.attention_loss
        seen = self.masked(self.task.seen(batch))
        looks = kind in ("entropy", "supervised") or (self.teacher is not None and self.teacher.looks)
        output = self.model(seen, need_attention=looks, need_layers=False)
        loss = self.loss(output, seen)
        if self.teacher is not None:
            loss = self.teacher.loss(loss, output, seen)
        if learn:
            self.task.learn(self.model, output, seen)
        with torch.no_grad():
            shown = len(batch) / len(seen)
            figures = {name: value * shown for name, value in self.task.figures(output, seen).items()}
            self.steps.append((loss.detach(), figures, len(batch)))
        if self.adversary is not None:
            loss = self.adversary.loss(loss, self.model, seen, self.loss)
        if self.consistency is not None:
            loss = loss + self.consistency.loss(self.model, batch, self.current_epoch)
        if self.kept is not None:
            loss = self.kept.loss(loss, output, seen, self._again, self.model)
        if kind is None:
            return loss
        # one look is enough for what looks by itself
        extra = attention_loss(kind, self.model, self.task, batch if kind == "faithful" else seen, output.attention)
        self.attention_losses.append(extra.detach())
        return loss + self.model.config.attention_weight * extra

    def _again(self, batch: Batch) -> tuple[Batch, ModelOutput, Tensor]:
        """Examples of an earlier task: as the model is shown them, what it answers, and the loss of that."""
        seen = self.task.seen(batch if self.augment is None else self.augment(batch, self.current_epoch))
        output = self.model(seen)
        return seen, output, self.loss(output, seen)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._measure("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._measure("test", batch)

    def _measure(self, split: str, batch: Batch) -> None:
        self.batch = batch
        final = self.trainer.state.fn != TrainerFn.FITTING
        metrics = self.split_metrics[split]
        output = self.task.measure(metrics, self.model, batch, mirror=self.mirror, final=final)
        further: Any = self.further[split]
        further.update(output.answer, batch.targets)

    def on_validation_epoch_start(self) -> None:
        self.evaluating = True

    def on_test_epoch_start(self) -> None:
        self.evaluating = True

    def on_validation_epoch_end(self) -> None:
        self.evaluating = False
        self._finish_split("val")

    def on_test_epoch_end(self) -> None:
        self._finish_split("test")

    def _finish_split(self, split: str) -> None:
        metrics: Any = self.split_metrics[split]
        learns = split == "val" and self.trainer.state.fn == TrainerFn.FITTING
        scalars, self.details[split] = self.task.results(metrics, learn=learns)
        metrics.reset()
        further: Any = self.further[split]
        scalars |= further.results()
        # torchmetrics has reduced them already; reducing equal values again is how Lightning knows. The monitor writes
        # them, at the step at which they were measured
        self.log_dict({f"{split}/{name}": value for name, value in scalars.items()}, logger=False, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the model's own weights alone under plain keys, whatever wraps the learner."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {key: value for key, value in state.items() if key.startswith("model.")}
        if learned := self.task.state():
            checkpoint[TASK] = learned

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Lightning expects every key of the learner; the metrics' states are never stored."""
        rest = {key: value for key, value in self.state_dict().items() if not key.startswith("model.")}
        checkpoint["state_dict"].update(rest)
        if TASK in checkpoint:
            self.task.load_state(checkpoint[TASK])

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        # else every process writes other rows, and all get the sum; and weights that are held have all rows written
        if self.trainer.world_size == 1 and self.kept is None:
            for module in self.embeddings:
                module.reclaim()
        optimizer.zero_grad()

    def optimizer_step(self, *given: Any, **named: Any) -> None:
        super().optimizer_step(*given, **named)
        self.model.after_step(int(self.trainer.estimated_stepping_batches))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if gradient_clip_val is None and not self.wants_grad_norm:
            return
        limit = float("inf") if gradient_clip_val is None else float(gradient_clip_val)
        sharded = getattr(self.trainer.strategy.model, "clip_grad_norm_", None)  # FSDP holds a part of each gradient
        if sharded is not None:
            self.grad_norm = sharded(limit)
            return
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.grad_norm = total_norm([p.grad for p in trained if p.grad is not None])
        if optimizer.defaults.get("fused"):
            # the fused kernels divide by this as they read, which saves a pass over all gradients
            optimizer.grad_scale = (self.grad_norm / limit).clamp_(min=1.0)  # type: ignore[attr-defined]
        else:
            torch.nn.utils.clip_grads_with_norm_(trained, limit, self.grad_norm)

    def configure_optimizers(self) -> Any:
        assert self.options is not None, "a learner without optimizer options only evaluates"
        options = self.options
        # with 16-bit gradient scaling the fused kernels unscale by themselves, after clipping: too late
        optimizer = optimizers.make(self.model, options, fused=self.trainer.precision != "16-mixed")
        total = int(self.trainer.estimated_stepping_batches)
        rate = course(options)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, total, options))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def described(batch: Batch | None) -> str:
    """What a batch holds, and how large it is."""
    return "no examples yet" if batch is None else " and ".join(one.described() for one in batch.inputs.values())


def total_norm(gradients: list[Tensor]) -> Tensor:
    """The length of all of them as one vector."""
    if gradients[0].device.type == "cpu":  # where a product with itself takes a third of the time of a norm
        flat = (g.reshape(-1) for g in gradients)
        return torch.stack([torch.dot(g, g) for g in flat]).sum().sqrt()
    return torch.nn.utils.get_total_norm(gradients)
