"""A sweep by command: `attnpred train -m …` begins one or goes on with it, `attnpred resume SWEEP_DIR` goes on."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attnpred.config import compose, packages, schema
from attnpred.config import overrides as overriding
from attnpred.config.options import LauncherConfig
from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import Untrusted, UserError
from attnpred.files import unwritable
from attnpred.sweep import outcome, word
from attnpred.sweep.executor import Executor
from attnpred.sweep.kept import kept, key_of, lost
from attnpred.sweep.parent import Parent
from attnpred.sweep.state import Sweep, now, working_directory
from attnpred.sweep.sweeper import Sweeper
from attnpred.sweep.table import Table


def multirun(overrides: list[str], extra_dir: str | None = None) -> int:
    """Runs the sweep that the overrides describe; whatever can be wrong with it shows before the first job starts."""
    extra_dir = extra_dir and str(Path(extra_dir).resolve())
    launcher, executor, sweeper, own = _engine(overrides, extra_dir)
    config = sweeper.first
    shared = getattr(sweeper.config, "study_name", None) is not None
    never = config.resume == "never"
    sweep = None if never else Sweep.unfinished(config.output_dir, overrides, extra_dir, shared)
    if sweep is None:
        sweep = Sweep.create(
            config.output_dir,
            overrides=overrides,
            config_dir=extra_dir,
            directory=str(Path.cwd()),
            objective=sweeper.objective(),
            packages=list(packages.trusted()),
            sweeper=_recorded(sweeper.config),
        )
        say(f"sweep: {sweep.path}")
    else:
        sweep.overrides = overrides  # with the secrets that its file has not
        say(f"sweep: {sweep.path} was not finished; going on with it (resume=never begins another)")
    return _run(sweep, launcher, executor, sweeper, own)


def resume(path: Path, given: list[str] | None = None) -> int:
    """Goes on with a sweep, jobs that failed included; `given` are overrides that the user says again."""
    sweep = Sweep.hold(path.resolve())
    try:
        if missing := sweep.untrusted():
            raise Untrusted(str(path), missing[0])
        word.take(sweep, path, given or [])
        os.chdir(working_directory(sweep.directory))  # names of files in its overrides start there
        launcher, executor, sweeper, own = _engine(sweep.overrides, sweep.config_dir)
    except BaseException:
        sweep.release()
        raise
    for job in sweep.jobs:
        if job.status == "failed":
            job.status = "waiting"
    say(f"sweep: {path}")
    return _run(sweep, launcher, executor, sweeper, own)


def _engine(overrides: list[str], extra_dir: str | None) -> tuple[LauncherConfig, Executor, Sweeper, list[str]]:
    """Launcher options, executor, sweeper, and the overrides that every job is made of, those of a file included."""
    launcher, options = compose.engine(overrides, extra_dir)
    typed = [override for override in overriding.parse(overrides) if not overriding.steers(override)]
    keys = {override.key_or_group for override in typed}
    filed = [f"{name}={schema.show(value)}" for name, value in options.params.items() if name not in keys]
    own = [*filed, *(str(override.input_line) for override in typed)]
    sweeper = schema.load(options._target_)(options, own, extra_dir)
    return launcher, schema.load(launcher._target_)(launcher), sweeper, own


def _run(sweep: Sweep, launcher: LauncherConfig, executor: Executor, sweeper: Sweeper, own: list[str]) -> int:
    try:
        if sweep.jobs:
            for job in sweep.unsettled():
                outcome.recover(job, list(sweep.objective))
            _reveal(sweep, own)
            sweep.resumed.append(now())
        sweep.launcher, sweep.status, sweep.ended = _recorded(launcher), "running", None
        sweeper.begin(sweep)
        sweep.save()
        swept = [override.get_key_element() for override in overriding.parse(own) if override.is_sweep_override()]
        code = Parent(sweep, sweeper, executor, launcher, Table(sweep, swept, launcher.n_jobs)).run()
    except OSError as error:
        if reason := unwritable(sweep.path, error):
            raise UserError(reason) from error
        raise
    finally:
        sweep.release()
    sys.stderr.flush()
    stdout.write(str(sweep.path))
    return code


def _reveal(sweep: Sweep, own: list[str]) -> None:
    """Gives jobs that were read from the file the secrets that hold for all of them."""
    known = {key_of(text): text for text in own}
    for job in sweep.jobs:
        job.overrides = [known.get(key_of(text), text) if lost(text) else text for text in job.overrides]


def _recorded(options: Any) -> dict[str, Any]:
    """Options as they may be kept in a file."""
    values = asdict(options)
    values["name"] = compose.file_of(values.pop("_target_"))
    return {key: kept(value) for key, value in values.items()}
