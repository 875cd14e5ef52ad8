"""Training, one linear story: config, data, model, run directory, fit, test, result."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import Callback, EarlyStopping

from attnpred.config import packages, schema
from attnpred.config.options import Config
from attnpred.console import tables
from attnpred.console.say import say
from attnpred.console.secrets import shown
from attnpred.contracts import ModelSpec
from attnpred.data import columns
from attnpred.data.batching import FewBatches
from attnpred.errors import Interrupted, Pruned, Theirs, UserError
from attnpred.files import tidy, unwritable, write_json
from attnpred.machine import processes, ranks, threads
from attnpred.machine.device import Chosen, choose
from attnpred.machine.process_setup import settle
from attnpred.modalities.reader import save_reader
from attnpred.models import size
from attnpred.runs import checkpoint_files, loggers, ranks_lock, resuming
from attnpred.runs.checkpoint_files import CheckpointFiles
from attnpred.runs.run import PRUNE, Run
from attnpred.tasks.base import Task
from attnpred.training import extras, find_rate, memory, optimizers, predictions, restored, retries
from attnpred.training.begin_from import begin_from
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
from attnpred.training.callbacks.signals import Signals, asked_to_leave, in_order, unheard
from attnpred.training.callbacks.stop_pruned import StopPruned
from attnpred.training.callbacks.threads import Threads
from attnpred.training.learner import Learner


@in_order()
def launch(config: Config, overrides: list[str], directory: str | None = None, lead: ranks.Lead | None = None) -> Run:
    """Trains as the config says and returns the finished run. `directory` names the run's; a sweep gives it.

    What can be wrong with data, weights, device or logger shows before the run directory is made. Several devices are
    several processes, which read their config from that directory: nobody's command line is run twice. `lead` tells
    them of it, where they were started with this one.
    """
    chosen = _ready(config)
    config = replace(config, data=columns.settled(config.data, config.task.reads))
    if config.resume == "auto" and (begun := Run.unfinished(config, directory)) is not None:
        return resume(begun, lead)
    parts = prepare(config)
    parts[0].check()
    run = Run.create(config, overrides, directory)
    say(f"run: {run.path}")
    with _writable(run), run.held():
        return _train(run, config, chosen, parts, lead)


@in_order()
def resume(run: Run, lead: ranks.Lead | None = None) -> Run:
    """Goes on with a run where it was last saved, by its own config, in its own directory."""
    config = run.config()
    chosen = _ready(config)
    with _writable(run), run.held():
        ranks_lock.await_end(run.path)
        tidy(run.path)
        checkpoint_files.tidy(run.checkpoints)
        parts = prepare(config)
        start = retries.go_back(run, partial(restored.check, config=config, learner=parts[1], chosen=chosen))
        (run.path / PRUNE).unlink(missing_ok=True)
        say(f"run: {run.path}, from {'its beginning' if start is None else start.name}")
        return _train(run, config, chosen, parts, lead)


def _ready(config: Config) -> Chosen:
    """The devices to train on, with whatever else the config asks of this machine."""
    loggers.check(config.logger)
    extras.check(config.callbacks)
    threads.use(config.trainer.threads)
    crew = ranks.crew()
    if config.trainer.nodes > 1 and crew is None:
        raise UserError(
            f"trainer.nodes={config.trainer.nodes}: this process was started alone; have torchrun or srun start one "
            "for each device (docs/cluster.md), or set trainer.nodes=1"
        )
    chosen = choose(config.trainer, crew)
    say(f"device: {chosen.reason}")
    if chosen.world > 1 and (config.trainer.on_nan, config.trainer.on_oom) != ("stop", "stop"):
        raise UserError("trainer.on_nan and trainer.on_oom: help themselves on one device only; leave both at stop")
    return chosen


def _train(run: Run, config: Config, chosen: Chosen, parts: tuple[Any, Learner], lead: ranks.Lead | None) -> Run:
    """Trains in the run's directory and writes down how that ended."""
    try:
        if config.trainer.find is not None:
            found = find_rate.find(config, chosen, *parts, run.path / "found")
            config = replace(found, trainer=replace(found.trainer, find=None))
            run.rewrite(config)
            parts = prepare(config)
        if chosen.world == 1:
            retries.persist(config, run, parts, lambda c, p, rate: fit(c, chosen, run, p[0], p[1], rate), prepare)
        elif lead is not None:
            lead.tell(run.path)
            fit(config, chosen, run, *parts)
        else:
            del parts  # each process has its own
            code = processes.spread("attnpred.training.train", [str(run.path)], chosen.devices)
            if code:
                said = run.description().get("error") or f"{run.path}: a rank failed; its error stands above"
                raise Theirs(said, exit_code=1) if code == processes.UNTOLD else UserError(said)
    except Pruned:
        run.finish("pruned")
    except BaseException as error:
        if (number := asked_to_leave(error)) is not None:
            with unheard():
                run.finish("interrupted")
                raise Interrupted(number, resuming.left(run.path)) from None
        with suppress(OSError, UserError):  # the disk may be what failed, with all that was on it
            run.finish("failed", error)
        raise
    if run.description()["status"] != "pruned":
        run.finish("done")
    return run


@contextmanager
def _writable(run: Run) -> Iterator[None]:
    """Turns what a full, vanished or closed directory does to a run into the user's one line."""
    try:
        yield
    except OSError as error:
        if reason := unwritable(run.path, error):
            raise UserError(reason) from error
        raise


def prepare(config: Config) -> tuple[Any, Learner]:
    """The data, ready to be read, and the model, ready to be trained."""
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    kind = schema.load(config.task._target_)
    target = kind.target(config.task, *config.target_columns())
    data = schema.load(config.data._target_)(config.data, target, tokenizer_source=config.model.tokenizer_source())
    task = kind(config.task, data.target_spec)
    model = size.fresh(config.model, ModelSpec(data.specs, task.answer))
    if config.model.init_from is not None:
        begin_from(model, config.model.init_from)
    model.freeze(config.model.frozen_levels, config.model.frozen)
    optimizers.check(model, config.optimizer)
    soften = None if kind.soften is Task.soften else task.soften
    augment = extras.augmenting(data.augment(config.trainer.max_epochs, soften), config.data.augment_with)
    learner = Learner(model, task, config.optimizer, augment, mirror=config.data.mirrors())
    return data, learner.train()  # pretrained encoders come in evaluation mode


def fit(config: Config, chosen: Chosen, run: Run, data: Any, learner: Learner, rate: float = 1.0) -> None:
    """Trains, tests the weights kept and writes the result; every rank runs it, rank 0 writes.

    `rate` is what the learning rates are multiplied by.
    """
    options = config.trainer
    monitor = Monitor(options.log_every_steps, config.checkpoint)
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
    start = checkpoint_files.newest(run.checkpoints)  # there is none yet, unless the run was begun before
    trainer = lightning.Trainer(
        accelerator=chosen.accelerator,
        devices=chosen.devices,
        num_nodes=chosen.nodes,
        strategy=chosen.strategy,
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
        # the signals come last, so that a checkpoint due at this step is not written twice
        callbacks=[*callbacks, *extras.make(config.callbacks), StopPruned(run.path / PRUNE), Signals(checkpoints)],
    )
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
    if options.overfit_batches is not None:
        loaders["train"] = loaders["val"] = FewBatches(loaders["train"], options.overfit_batches)
    expected = memory.estimate(config, chosen, data, learner, loaders)
    if expected is not None:
        memory.check(expected, chosen, loaders["train"].largest())
        if main:
            say(f"memory: {expected.described()}")
            run.describe(memory=expected.as_dict())
    if options.compile:
        learner.model.compile()  # in place: no name in a checkpoint tells
    with restored.restoring(start, lambda: monitor.started > 0), learner.in_memory():
        trainer.fit(learner, loaders["train"], loaders["val"], ckpt_path=start and str(start), weights_only=True)
    tested = trainer.strategy.broadcast(str(run.checkpoint()))  # another machine may see a new file late
    with learner.in_memory():
        trainer.test(learner, loaders["test"], ckpt_path=tested, verbose=False, weights_only=True)
    if main:
        if expected is not None:
            monitor.result["estimated_memory_gib"] = expected.peak / size.GIB
        if turns := run.description().get("turns"):
            monitor.result["turns"] = turns
        if config.data.folds is not None and chosen.strategy != "fsdp":
            predictions.keep(run, config, data, chosen)
        write_json(run.path / "metrics.json", monitor.result)
        loggers.hyperparameters(trainer.loggers, config, run.description()["overrides"], monitor.result)
        say(tables.final_table(monitor.result, learner.task.tables))


@in_order()
def main(path: str) -> None:
    """One rank of a run whose directory exists."""
    settle()
    run = Run(Path(path))
    config = run.config()
    threads.use(config.trainer.threads)
    crew = ranks.crew()
    try:
        with _writable(run):
            fit(config, choose(config.trainer, crew), run, *prepare(config))
    except Interrupted as error:
        ranks.leave(error)
    except Pruned:
        if crew is not None and crew.rank == 0:
            run.finish("pruned")


if __name__ == "__main__":
    try:
        with ranks_lock.at_work(Path(sys.argv[1])):
            main(sys.argv[1])
    except UserError as mistake:
        try:
            Run(Path(sys.argv[1])).describe(error=str(mistake))
        except (OSError, UserError):  # the disk may be what failed
            print(f"error: {shown(str(mistake))}", file=sys.stderr)
        sys.exit(mistake.exit_code)
    except Exception as error:
        if (text := packages.told(error)) is None:
            raise
        Run(Path(sys.argv[1])).describe(error=text)
        sys.exit(processes.UNTOLD)
