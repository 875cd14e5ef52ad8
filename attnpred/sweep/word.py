"""What the user says again when a sweep goes on: what a stranger's reaches out to, and secrets of one's own."""

import shlex
from pathlib import Path

from hydra.core.override_parser.types import Override

from attnpred.config import overrides as overriding
from attnpred.config.config_dir import OURS_ALONE
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.sweep.kept import given_back, key_of, lost
from attnpred.sweep.state import Sweep

QUIET_LOGGERS = ("tensorboard", "csv", "none")  # which send nothing anywhere
SENDERS = ("logger.wandb", "logger.mlflow")
HOW = "hydra.launcher"  # how a sweep runs, which may be given anew


def reaches_out(override: Override) -> bool:
    """Whether it has something written, sent or started beyond the sweep's own directory and jobs."""
    key, value = key_of(override.key_or_group), override.value()
    if key.partition(".")[0] == "hydra":
        return _steers_out(key, value)
    if key in OURS_ALONE or key.startswith("logger.others"):
        return True
    if key == "logger":
        return value not in QUIET_LOGGERS
    if key in SENDERS:
        return value is not False
    return not isinstance(value, str) and any(name.startswith(f"{key}.") for name in OURS_ALONE)


def _steers_out(key: str, value: object) -> bool:
    if key in ("hydra.launcher.n_jobs", "hydra.launcher.on_failure"):
        return False
    if key == "hydra.launcher":
        return value != "processes"
    if key == "hydra.sweeper.storage":
        return value not in (None, "memory")
    plain = key.startswith("hydra.sweeper.") and not key.startswith("hydra.sweeper.params")
    return not (plain or (key == "hydra.sweeper" and isinstance(value, str)))


def take(sweep: Sweep, path: Path, given: list[str]) -> None:
    """Has the sweep go on with the overrides that are given; raises UserError where the user's word is missing.

    A sweep that this user did not make on this machine starts where the user stands, and uses none of their secrets.
    """
    said = {key_of(text): text for text in given}
    before = list(dict.fromkeys([*sweep.overrides, *(text for job in sweep.jobs for text in job.overrides)]))
    if not sweep._ours:
        _agreed(path, [o for o in overriding.parse(before) if reaches_out(o)], said)
        sweep.directory, sweep.variables = str(Path.cwd()), {}
    _refuse_others(overriding.parse(given), {key_of(text) for text in before if lost(text)})
    kept = {key_of(text) for text in sweep.overrides}
    own = [said.get(key_of(text), text) for text in sweep.overrides]
    sweep.overrides = _with_secrets(sweep, path, [*own, *(text for key, text in said.items() if key not in kept)], said)
    known = {key_of(text): text for text in sweep.overrides}
    for job in sweep.jobs:
        places = {key: text for key, text in known.items() if key in said or key in sweep.variables}
        job.overrides = [places.get(key_of(text), text) for text in job.overrides]
    sweep._ours = True  # what it does from here on was looked at, or said by the user


def _agreed(path: Path, reaching: list[Override], said: dict[str, str]) -> None:
    missing = {key_of(str(o.input_line)): str(o.input_line) for o in reaching}
    missing = {key: text for key, text in missing.items() if key not in said}
    if missing:
        raise UserError(
            f"{path}: was not made by you on this machine, and reaches out of its directory; if you agree to that, "
            f"say so: attnpred resume {shlex.join([str(path), *said.values(), *missing.values()])}"
        )


def _refuse_others(given: list[Override], hidden: set[str]) -> None:
    """Raises for an override that would make another sweep of it."""
    for override in given:
        key = key_of(override.key_or_group)
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: write one plain value, key=value")
        if not (reaches_out(override) or key in hidden or key == HOW or key.startswith(f"{HOW}.")):
            raise UserError(
                f"{override.input_line}: would make another sweep of it; begin that one by attnpred train -m"
            )


def _with_secrets(sweep: Sweep, path: Path, overrides: list[str], said: dict[str, str]) -> list[str]:
    """The overrides with the secrets that were not kept: of the environment, or as they are given."""
    full = [given_back(text, sweep.variables) if lost(text) else text for text in overrides]
    missing = [key_of(text) for text in full if lost(text) and key_of(text) not in said]
    if missing:
        again = " ".join(f"{key}=…" for key in missing)
        raise UserError(f"{path}: keeps no secrets; give again what held one: attnpred resume {path} {again}")
    for old, new in zip(overrides, full, strict=True):
        if old != new:
            say(f"{key_of(new)}: its secret comes from {sweep.variables[key_of(new)]} again")
    return full
