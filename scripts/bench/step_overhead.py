"""What a run costs a step beyond the model, on a model so small that only that counts, in microseconds.

    python -m scripts.bench.step_overhead --pairs 3

Ours is a launch with everything on: checkpoints, TensorBoard, a point of the curves every 50 steps, progress on a
terminal. The bare loop trains the same model on the same batches: forward, backward, clipping, optimizer. Between them
stand Lightning with everything off, and Lightning as it is usually set up. None validates within the steps that count.
"""

import itertools
import tempfile
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from attnpred.config import schema
from attnpred.config.options import Config
from attnpred.contracts import Batch, ModelSpec
from attnpred.machine.process_setup import settle
from scripts.bench import harness, ours, timing
from scripts.bench.harness import Comparison, Options

OVERRIDES = [
    *("model=transformer", "model.width=4", "model.depth=1", "model.heads=1", "model.mlp_ratio=1.0"),
    *("data=digits", "data.batch_size=1"),
    *("trainer=cpu", "trainer.precision=bf16-mixed", "trainer.validate_every_steps=1000000000"),
]
LOG_EVERY = 50
MICROSECONDS = 1e6


def our_side(options: Options) -> dict[str, float]:
    window = {"warmup": options.warmup, "steps": options.steps}
    if options.warmup % LOG_EVERY or options.steps % LOG_EVERY:
        raise SystemExit(f"--warmup and --steps: take multiples of {LOG_EVERY}, at which the time is logged")
    with tempfile.TemporaryDirectory() as directory:
        run = ours.train(OVERRIDES, **window, directory=directory, log_every=LOG_EVERY)
        return {"step": MICROSECONDS * ours.seconds_a_step(run, **window)}


def parts() -> tuple[Config, Any, Any, Any]:
    """Config, data, model and task, as a launch makes them."""
    config = ours.composed(OVERRIDES)
    lightning.seed_everything(config.seed, verbose=False)
    data = ours.prepared(config)
    task = schema.load(config.task._target_)(config.task, data.target_spec)
    model = schema.load(config.model._target_)(config.model, ModelSpec(data.specs, task.answer))
    return config, data, model, task


def adamw(config: Config, model: torch.nn.Module) -> torch.optim.Optimizer:
    """In the two groups that ours has."""
    options = config.optimizer
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, options.lr, betas=(options.momentum, options.beta2), fused=True)


def clip(config: Config, model: torch.nn.Module) -> None:
    assert config.trainer.clip_norm is not None
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.trainer.clip_norm)


def bare_side(options: Options) -> dict[str, float]:
    config, data, model, task = parts()
    optimizer = adamw(config, model)
    loader = data.loader("train", seed=config.seed)
    model.train()
    start, step = 0.0, 0
    for epoch in itertools.count():
        loader.set_epoch(epoch)
        for batch in loader:
            with torch.autocast("cpu", torch.bfloat16):
                loss = task.loss(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            clip(config, model)
            optimizer.step()
            step += 1
            if step == options.warmup:
                start = timing.now()
            elif step == options.warmup + options.steps:
                return {"step": MICROSECONDS * (timing.now() - start) / options.steps}
    raise AssertionError


class Bare(lightning.LightningModule):
    """The least that Lightning trains; notes the time at the end of the given steps."""

    def __init__(self, model: torch.nn.Module, task: Any, config: Config, *stamps: int) -> None:
        super().__init__()
        self.model, self.task, self.options = model, task, config
        self.times = dict.fromkeys(stamps, 0.0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.task.loss(self.model(batch), batch)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.global_step in self.times:
            self.times[self.global_step] = timing.now()

    def configure_optimizers(self) -> Any:
        return adamw(self.options, self.model)

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *limits: Any, **named: Any) -> None:
        # Lightning's own refuses fused optimizers in mixed precision
        clip(self.options, self.model)


class Usual(Bare):
    """Logs its loss and accuracy to the progress bar and the curves, and has a schedule."""

    def __init__(self, model: torch.nn.Module, task: Any, config: Config, *stamps: int) -> None:
        super().__init__(model, task, config, *stamps)
        self.accuracy = MulticlassAccuracy(len(task.spec.classes))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        output = self.model(batch)
        loss: Tensor = self.task.loss(output, batch)
        self.accuracy(output.answer, batch.targets["label"])
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        self.log("train/accuracy", self.accuracy, prog_bar=True, batch_size=len(batch))
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def lightning_side(kind: type[Bare], options: Options, **extras: Any) -> dict[str, float]:
    settle()
    config, data, model, task = parts()
    first, last = options.warmup, options.warmup + options.steps
    learner = kind(model, task, config, first, last)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        precision="bf16-mixed",
        max_steps=last,
        **extras,
    )
    trainer.fit(learner, data.loader("train", seed=config.seed))
    return {"step": MICROSECONDS * (learner.times[last] - learner.times[first]) / options.steps}


def bare_lightning_side(options: Options) -> dict[str, float]:
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return lightning_side(Bare, options, **dict.fromkeys(off, False))


def usual_lightning_side(options: Options) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        callbacks = [
            ModelCheckpoint(directory, save_last=True),
            LearningRateMonitor(logging_interval="step"),
            TQDMProgressBar(),
        ]
        return lightning_side(Usual, options, logger=TensorBoardLogger(directory), callbacks=callbacks)


BENCHMARK = harness.Benchmark(
    module="scripts.bench.step_overhead",
    sides={
        "ours": our_side,
        "bare": bare_side,
        "bare_lightning": bare_lightning_side,
        "usual_lightning": usual_lightning_side,
    },
    comparisons=tuple(
        Comparison("a training step", against, "ours/step", f"{peer}/step", unit="µs", target=target, difference=True)
        for peer, against, target in (
            ("bare", "a bare PyTorch loop", 300.0),
            ("bare_lightning", "Lightning with everything off", None),
            ("usual_lightning", "Lightning as usually set up", None),
        )
    ),
    defaults=Options(warmup=500, steps=3000),
)

if __name__ == "__main__":
    harness.main(BENCHMARK, __doc__)
