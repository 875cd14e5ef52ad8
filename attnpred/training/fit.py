"""One fit, in one process: data and model, trainer and callbacks, test, and the result."""

from functools import partial
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.utilities.seed import isolate_rng

from attnpred.config import schema
from attnpred.config.options import Config
from attnpred.console import tables
from attnpred.console.say import say
from attnpred.contracts import ModelSpec
from attnpred.data.batching import FewBatches
from attnpred.files import write_json
from attnpred.machine import ranks, threads
from attnpred.machine.device import Chosen
from attnpred.modalities.reader import save_reader
from attnpred.models import size, slimming
from attnpred.runs import checkpoint_files, loggers
from attnpred.runs.checkpoint_files import CheckpointFiles
from attnpred.runs.run import PRUNE, Run
from attnpred.tasks.base import Task
from attnpred.training import continual, ddp, extras, memory, optimizers, predictions, restored
from attnpred.training.adversarial import adversary
from attnpred.training.begin_from import Begun, begin_from
from attnpred.training.callbacks.attention_check import AttentionCheck
from attnpred.training.callbacks.checkpoints import Checkpoints
from attnpred.training.callbacks.divergence import DivergenceCheck
from attnpred.training.callbacks.drawings import EXAMPLES, Drawings
from attnpred.training.callbacks.ema import WeightAverage
from attnpred.training.callbacks.monitor import Monitor
from attnpred.training.callbacks.plan import Plan
from attnpred.training.callbacks.profile import Profile, Unprofiled
from attnpred.training.callbacks.progress import Progress
from attnpred.training.callbacks.resume_state import ResumeState
from attnpred.training.callbacks.signals import Signals
from attnpred.training.callbacks.stop_pruned import StopPruned
from attnpred.training.callbacks.threads import Threads
from attnpred.training.distillation import teacher_of
from attnpred.training.learner import Learner
from attnpred.training.self_training import add_labels, consistency


def prepare(config: Config) -> tuple[Any, Learner]:
    """The data, ready to be read, and the model, ready to be trained."""
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    kind = schema.load(config.task._target_)
    target = kind.target(config.task, *config.target_columns())
    earlier = continual.Earlier.of(config)
    begun = {"tokenizer_source": config.model.tokenizer_source(), "begun": Begun.of(config.model.init_from)}
    fresh = partial(schema.load(config.data._target_), **begun)
    data = fresh(config.data, target) if earlier is None else earlier.data(target)
    task = kind(config.task, data.target_spec)
    spec = ModelSpec(data.specs, task.answer)
    model = size.fresh(config.model, spec) if earlier is None else earlier.model(spec)
    begin_from(model, config.model.init_from)
    slimming.sparsify(model, config.model.sparsity)
    model.freeze(config.model.frozen_levels, config.model.frozen)
    optimizers.check(model, config.optimizer)
    soften = None if kind.soften is Task.soften else task.soften
    augment = extras.augmenting(data.augment(config.trainer.max_epochs, soften), config.data.augment_with)
    learner = Learner(model, task, config.optimizer, augment, mirror=config.data.mirrors())
    with isolate_rng():  # a teacher is made once, and loaded or not, no draw may differ
        learner.teacher = teacher_of(config, data, task)
        add_labels(config, data, task)
    learner.adversary = adversary(config.adversarial)
    learner.consistency = consistency(config, data, task, augment)
    learner.kept = None if earlier is None else earlier.kept(model, data)
    return data, learner.train()  # pretrained encoders come in evaluation mode


def fit(config: Config, chosen: Chosen, run: Run, data: Any, learner: Learner, rate: float = 1.0) -> None:
    """Trains, tests the weights kept and writes the result; every rank runs it, rank 0 writes.

    `rate` is what the learning rates are multiplied by.
    """
    monitor = Monitor(config.trainer.log_every_steps, config.checkpoint)
    start = checkpoint_files.newest(run.checkpoints)  # there is none yet, unless the run was begun before
    trainer = _trainer(config, chosen, run, learner, _callbacks(config, chosen, run, data, monitor, rate))
    main = trainer.is_global_zero
    if trainer.world_size > 1:  # one start for all, but each its own dropout and augmentation
        lightning.seed_everything(config.seed + trainer.global_rank, workers=True, verbose=False)
    if main:
        save_reader(run.path, data.reader, data.target_spec)
        learner.model.save_assets(run.path)
        if start is None:
            loggers.describe(trainer.loggers, config)
    shared = {"seed": config.seed, "rank": trainer.global_rank, "world": trainer.world_size}
    loaders = {split: data.loader(split, **shared) for split in ("train", "val", "test")}
    if config.trainer.overfit_batches is not None:
        loaders["train"] = loaders["val"] = FewBatches(loaders["train"], config.trainer.overfit_batches)
    expected = memory.estimate(config, chosen, data, learner, loaders)
    if expected is not None:
        memory.check(expected, chosen, loaders["train"].largest())
        if main:
            say(f"memory: {expected.described()}")
            run.describe(memory=expected.as_dict())
    if config.trainer.compile:
        learner.model.compile()  # in place: no name in a checkpoint tells
    with restored.restoring(start, lambda: monitor.started > 0), learner.in_memory():
        trainer.fit(learner, loaders["train"], loaders["val"], ckpt_path=start and str(start), weights_only=True)
    tested = trainer.strategy.broadcast(str(run.checkpoint()))  # another machine may see a new file late
    with learner.in_memory():
        trainer.test(learner, loaders["test"], ckpt_path=tested, verbose=False, weights_only=True)
        done = continual.measure(config, chosen, trainer, learner, data, monitor.result["test"])
    if main:
        if config.data.test_limit is not None:
            monitor.result["test_limit"] = config.data.test_limit
        if expected is not None:
            monitor.result["estimated_memory_gib"] = expected.peak / size.GIB
        if turns := run.description().get("turns"):
            monitor.result["turns"] = turns
        if config.data.folds is not None and chosen.strategy != "fsdp":
            predictions.keep(run, config, data, chosen)
        told = "" if done is None else continual.tell(done, config, run.path, monitor, trainer)
        learner.task.keep(run.path)
        write_json(run.path / "metrics.json", monitor.result)
        loggers.hyperparameters(trainer.loggers, config, run.description()["overrides"], monitor.result)
        say(f"{tables.final_table(monitor.result, learner.task.tables)}{told}")


def _callbacks(config: Config, chosen: Chosen, run: Run, data: Any, monitor: Monitor, rate: float) -> list[Callback]:
    options = config.trainer
    guard = DivergenceCheck(monitor, options.log_every_steps)
    checkpoints = Checkpoints(run.checkpoints, config.checkpoint, guard.sound)
    callbacks: list[Callback] = [
        ResumeState(config.data.batch_size, rate),
        guard,
        monitor,
        Progress(monitor, watch=config.checkpoint.metric),
    ]
    if config.optimizer.ema is not None:
        callbacks.append(WeightAverage(config.optimizer.ema))
    if options.attention_examples and chosen.strategy != "fsdp":  # a part of the model cannot be asked alone
        callbacks.append(AttentionCheck(list(data.loader("val").sample(options.attention_examples)), monitor, chosen))
    if chosen.strategy != "fsdp":
        drawn = ("val", "test") if config.logger.tensorboard else ()
        examples = {split: list(data.loader(split).sample(EXAMPLES)) for split in drawn}
        callbacks.append(Drawings(data.reader, chosen, run.path, examples))
    callbacks += [checkpoints, Plan(run)]
    if (chosen.world, chosen.accelerator, options.threads) == (1, "cpu", "auto") and not threads.fixed():
        callbacks.append(Threads(run))
    if options.profile:
        callbacks.append(Profile(run.path))
    if options.patience is not None:
        selection = config.checkpoint
        # not strict: a run that goes on at its very end ends without another validation
        callbacks.append(
            EarlyStopping(selection.metric, patience=options.patience, mode=selection.direction, strict=False)
        )
    # the signals come last, so that a checkpoint due at this step is not written twice
    return [*callbacks, *extras.make(config.callbacks), StopPruned(run.path / PRUNE), Signals(checkpoints)]


def _trainer(
    config: Config, chosen: Chosen, run: Run, learner: Learner, callbacks: list[Callback]
) -> lightning.Trainer:
    options = config.trainer
    return lightning.Trainer(
        accelerator=chosen.accelerator,
        devices=chosen.devices,
        num_nodes=chosen.nodes,
        strategy=ddp.strategy(chosen, learner),
        precision=chosen.precision,  # type: ignore[arg-type]
        max_epochs=options.max_epochs,
        max_steps=options.max_steps or -1,
        accumulate_grad_batches=options.accumulate,
        gradient_clip_val=options.clip_norm,
        val_check_interval=options.validate_every_steps,
        check_val_every_n_epoch=None if options.validate_every_steps else 1,
        log_every_n_steps=options.log_every_steps,
        limit_train_batches=options.limit_batches,
        limit_val_batches=options.limit_batches,
        limit_test_batches=options.limit_batches,
        deterministic=options.deterministic,
        detect_anomaly=options.detect_anomaly,
        num_sanity_val_steps=0,
        default_root_dir=run.checkpoints,  # where Lightning saves when it puts a job of SLURM's back into the queue
        plugins=[CheckpointFiles(), ranks.environment()],
        use_distributed_sampler=False,  # the loaders share the examples out themselves
        enable_model_summary=False,
        profiler=Unprofiled(),
        logger=loggers.make(config.logger, run.path),
        callbacks=callbacks,
    )
