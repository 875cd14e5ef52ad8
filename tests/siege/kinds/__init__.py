"""A module a kind of input. Each has:

WEIGHT     its share of all inputs
BASES      what of `bases` it starts from
ACTIONS    what is done with an input, by name
UNTOUCHED  actions that leave no change where they refuse
PROGRAMS   beginnings of command lines that may be started
CODES      exit codes beside 0 and 2
OPEN       beginnings of findings that are known and not mended yet
cases      a strategy of hypothesis
GUIDED     files that atheris writes: by a name, the case that has the file hold a text, and a text to start from
NEEDS      what an input has imported: the process that forks those that try inputs imports it once
"""

import importlib
import sys
from typing import Any

from attnpred.modalities.text.tokenizer_check import TRIAL

NAMES = ("command_lines", "cards", "tables", "modalities", "runs", "sweeps", "checkpoints", "tokenizers", "pictures")

TRIED = f"{sys.executable} -I {TRIAL}"  # the process in which a tokenizer is tried before it is used


def load(name: str) -> Any:
    return importlib.import_module(f"tests.siege.kinds.{name}")
