"""What a command line asks for: files of groups, and values of options. What is wrong is noted, and the rest kept."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from hydra.core.override_parser.types import Override

from attnpred.config.composed import ENGINE
from attnpred.config.folders import group_options
from attnpred.config.overrides import SEVERAL, choice_of, steers, typed
from attnpred.errors import Mistakes, UserError

OURS = re.compile(rf"hydra[./]({'|'.join(ENGINE)})\b")
ENGINE_SHOWN = "hydra/launcher, hydra/sweeper, hydra.launcher.… and hydra.sweeper.…"
TELLING = ("model", "data", "task")  # groups whose wrong choice leaves what others say to be checked


@dataclass
class Wanted:
    choices: list[str] = field(default_factory=list)
    values: list[Override] = field(default_factory=list)
    spoiled: set[str] = field(default_factory=set)  # groups whose choice was wrong

    @classmethod
    def of(cls, parsed: list[Override], extra_dir: str | None, mistakes: Mistakes) -> "Wanted":
        wanted = cls()
        for override in parsed:
            with mistakes.noted():
                wanted._take(override, extra_dir)
        wanted.values = [o for o in wanted.values if re.split("[./]", o.key_or_group)[0] not in wanted.spoiled]
        return wanted

    def _take(self, override: Override, extra_dir: str | None) -> None:
        line, key = str(override.input_line), override.key_or_group
        if override.is_delete():
            raise UserError(f"{line}: options cannot be deleted; set one to null, or choose another file of its group")
        if steers(override) and not OURS.match(key):
            raise UserError(f"{line}: cannot be set; of Hydra's own options there are {ENGINE_SHOWN}")
        names = group_options(key, extra_dir)
        if not names and key != SEVERAL:
            self.values.append(override)
            return
        try:
            choice = choice_of(key, override.value(), names, extra_dir)
        except UserError:
            if override.package is None:
                self.spoiled.add(key)
            raise
        if override.package is not None:  # a file of a group whose options go elsewhere
            self.choices.append(placed(override, choice or f"{key}=null"))
            return
        if override.is_add():
            raise adds_nothing(override)
        # of none, as in experiment=null, Hydra wants to hear nothing
        self.choices = [*self.choices, choice] if choice else [c for c in self.choices if not c.startswith(f"{key}=")]

    @property
    def added(self) -> list[Override]:
        """Values that were to be added; of them those mistake nothing whose options there are not."""
        return [override for override in self.values if override.is_add()]

    @property
    def can_be_checked(self) -> bool:
        """Whether, though something is wrong, there is more to look at and sense in doing so."""
        return bool(self.values) and self.spoiled <= set(TELLING)

    @cached_property
    def typed(self) -> dict[str, str]:
        return {override.key_or_group: typed(override) for override in self.values}


def placed(override: Override, choice: str) -> str:
    """`model@model.encoders.text=bert`, for Hydra; with a + where there was no file in that place."""
    group, _, name = choice.partition("=")
    return f"{'+' if override.is_add() else ''}{group}@{override.package}={name}"


def adds_nothing(override: Override) -> UserError:
    line = str(override.input_line)
    return UserError(f"{line}: every option exists already, so + adds nothing; write {line.lstrip('+')}")
