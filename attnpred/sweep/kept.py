"""Overrides and paths as a sweep keeps them: without secrets and anybody's home; and how these come back."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attnpred.console.secrets import HIDDEN, SECRET_VARIABLE, SHORTEST, hide, scrub

# the password of an address; a server's is found by libpq again, to which its user's name is no secret
PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/\s]*@|(?<=[?&]password=)[^&\s'\"]+")
POSTGRES_USER = re.compile(
    r"(?<=postgresql://)[^/@:\s]*(?::\*\*\*)?@|(?<=postgresql\+psycopg://)[^/@:\s]*(?::\*\*\*)?@"
)
STORAGE = "hydra.sweeper.storage"  # whose password its server's own variables give
TILDE = re.compile(r"(?<![\w.~-])~(?![\w.~-])")


def masked(text: str) -> str:
    """Without the password of an address."""
    return PASSWORD.sub(lambda found: f"{found[1]}:{HIDDEN}@" if found[1] is not None else HIDDEN, text)


def kept(value: Any) -> Any:
    """Plain containers without secrets, and with ~ for the home directory."""
    if isinstance(value, str):
        text = masked(value)
        users = iter(POSTGRES_USER.findall(text))
        return re.sub("\0", lambda _: next(users), str(scrub(POSTGRES_USER.sub("\0", text))))
    if isinstance(value, dict):
        return {key: kept(inner) for key, inner in value.items()}
    return [kept(inner) for inner in value] if isinstance(value, list | tuple) else value


def at_home(text: str) -> str:
    """The text with the home directory for each ~ that stands for it; Hydra knows none."""
    return TILDE.sub(lambda _: str(Path.home()), text)


def key_of(override: str) -> str:
    """The dotted name of what an override sets, however it is typed."""
    return override.partition("=")[0].partition("@")[0].strip().lstrip("+~").replace("/", ".")


def lost(override: str) -> bool:
    """Whether it held a secret that was not kept and that nobody else knows."""
    return HIDDEN in override and key_of(override) != STORAGE


def variables(overrides: Iterable[str]) -> dict[str, str]:
    """The environment variable that gives back what is hidden in an override, by what that override sets."""
    found = {}
    for override in overrides:
        for variable, value in os.environ.items():
            secret = SECRET_VARIABLE.search(variable) and len(value) >= SHORTEST and value in override
            if secret and HIDDEN not in override and hide(override) == override.replace(value, HIDDEN):
                found[key_of(override)] = variable
    return found


def given_back(override: str, names: dict[str, str]) -> str:
    """The override with its secret, where the environment still has it."""
    variable = names.get(key_of(override), "")
    value = os.environ.get(variable, "") if SECRET_VARIABLE.search(variable) else ""
    return override.replace(HIDDEN, value) if value else override
