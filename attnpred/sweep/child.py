"""A job's own process: begins its run in the directory it is given, or goes on with the one that is there."""

import shutil
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from attnpred.config import untrusted
from attnpred.config.options import Config
from attnpred.console.say import say
from attnpred.console.secrets import scrub
from attnpred.errors import UserError
from attnpred.runs.run import Run


def work(config: Config, overrides: list[str], directory: str) -> Run:
    """Trains the job to its end, whatever became of earlier attempts, and returns its run.

    An earlier attempt may still be at work, saving or even training, when its parent was killed: it is waited for.
    """
    from attnpred.training.train import launch, resume

    run = Run(Path(directory))
    run.path.mkdir(parents=True, exist_ok=True)
    untrusted.refuse_ways_out(run.path, "job's directory")
    lock = FileLock(run.path / ".job.lock")
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        say(f"{run.path}: an earlier attempt is still at work; waiting for it")
        held = lock.acquire()
    with held:
        status = _status(run)
        if status in ("done", "pruned"):
            return run
        if status is not None:
            _refuse_another_server(run, config)
            return resume(run)
        shutil.rmtree(run.checkpoints, ignore_errors=True)  # of an attempt that died as it began
        return launch(config, overrides, directory)


def _refuse_another_server(run: Run, config: Config) -> None:
    """The directory may be a stranger's, whose server would be sent what is measured."""
    told, own = (
        scrub([one.wandb, one.mlflow, one.tracking_uri, list(map(asdict, one.others.values()))])
        for one in (run.config().logger, config.logger)
    )
    if told != own:
        raise UserError(f"{run.path}: its config.yaml logs elsewhere than the sweep says; remove the directory")


def _status(run: Run) -> str | None:
    """How the run stands; None where there is none, or none that was wholly made."""
    made = all((run.path / name).is_file() for name in ("config.yaml", "run.json"))
    return str(run.description()["status"]) if made else None
