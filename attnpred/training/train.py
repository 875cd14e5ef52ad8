"""Training, one linear story: config, data, model, run directory, fit, test, result."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from attnpred.config import packages, schema
from attnpred.config.options import Config
from attnpred.console.say import say
from attnpred.console.secrets import shown
from attnpred.data import columns
from attnpred.errors import Interrupted, Pruned, Theirs, UserError
from attnpred.files import tidy, unwritable
from attnpred.machine import processes, ranks, threads
from attnpred.machine.device import Chosen, choose
from attnpred.machine.process_setup import settle
from attnpred.runs import checkpoint_files, loggers, ranks_lock, resuming
from attnpred.runs.run import PRUNE, Run
from attnpred.training import extras, find_rate, restored, retries
from attnpred.training.callbacks.signals import asked_to_leave, in_order, unheard
from attnpred.training.fit import fit, prepare
from attnpred.training.learner import Learner


@in_order()
def launch(config: Config, overrides: list[str], directory: str | None = None, lead: ranks.Lead | None = None) -> Run:
    """Trains as the config says and returns the finished run. `directory` names the run's; a sweep gives it.

    What can be wrong with data, weights, device or logger shows before the run directory is made. Several devices are
    several processes, which read their config from that directory: nobody's command line is run twice. `lead` tells
    them of it, where they were started with this one.
    """
    chosen = _ready(config)
    config = settled(config)
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


def settled(config: Config) -> Config:
    """With every column and split named, and all that the task takes from these."""
    data = config.data
    for reads in config.task.kinds():
        data = columns.settled(data, reads)
    return replace(config, data=data, task=schema.load(config.task._target_).settled(config.task, data))


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
