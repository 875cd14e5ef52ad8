"""What nobody shall read later is kept out of what is written and shown: passwords, tokens, and whose home this is."""

import os
import re
from pathlib import Path
from typing import Any

HIDDEN = "***"
SECRET_VARIABLE = re.compile(r"token|secret|passw|_pwd$|credential|(^|_)(key|auth)($|_)", re.IGNORECASE)
SHORTEST = 8  # a shorter value is also found where it is no secret, as in a number
LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")  # https://NAME:PASSWORD@host
ASSIGNED = re.compile(
    r"((?:[?&](?:key|sig)|\b(?:\w+[_-])?(?:token|secret|passw(?:or)?d|pwd|api[_-]?key|access[_-]?key|signature))=)"
    r"[^&\s'\",;]+",
    re.IGNORECASE,
)
# as hubs and clouds mark theirs, so that they are found when they leak
MARKED = re.compile(r"\b(?:hf_|api_org_|ghp_|gho_|ghs_|github_pat_|glpat-|sk-|xox[abp]-|AKIA|ASIA|AIza)[\w-]{16,}")


def hide(text: str) -> str:
    """The text without secrets: of environment variables that are named like one, in addresses, or marked as such."""
    variables = (value for name, value in os.environ.items() if SECRET_VARIABLE.search(name))
    for value in sorted({v for v in variables if len(v) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return MARKED.sub(HIDDEN, ASSIGNED.sub(rf"\1{HIDDEN}", LOGIN.sub(f"{HIDDEN}@", text)))


def scrub(value: Any) -> Any:
    """Plain containers as they may be kept: without secrets, and with ~ for the home directory."""
    if isinstance(value, str):
        return _homeless(hide(value))
    if isinstance(value, dict):
        return {key: scrub(inner) for key, inner in value.items()}
    return [scrub(inner) for inner in value] if isinstance(value, list | tuple) else value


def _homeless(text: str) -> str:
    places = {str(home) for home in (Path.home(), Path.home().resolve()) if len(home.parts) > 1}
    for home in sorted(places, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", "~", text)
    return text


def printable(line: str) -> str:
    return line if line.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def shown(text: str, most: int = 2000) -> str:
    """One line that a terminal shows and does not obey, of bearable length, without secrets."""
    line = printable(" ".join(hide(text).split()))
    return line if len(line) <= most else f"{line[: most // 2]} … {line[-most // 2 :]}"
