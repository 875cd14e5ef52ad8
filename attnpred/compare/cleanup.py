"""Which runs may give up their checkpoints, or go as a whole, and doing so; nothing at work, and nothing outside."""

import json
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attnpred.compare.comparison import less_is_better
from attnpred.compare.deleting import Opened, opened, others_below
from attnpred.compare.record import Record
from attnpred.compare.status import DEAD, living, size
from attnpred.compare.where import Condition, chosen
from attnpred.console.secrets import printable, scrub
from attnpred.errors import UserError
from attnpred.runs.described import described_by, now_text

What = Literal["checkpoints", "runs"]
WEIGHTS = re.compile(r".*\.ckpt|\..*\.ckpt\..*|checksums\.json")  # checkpoints, drafts of a killed process, their sums


@dataclass(frozen=True)
class Victim:
    run: Record
    bytes: int


@dataclass(frozen=True)
class Plan:
    what: What
    victims: list[Victim]
    kept: Counter[str]  # how many runs stay for which reason

    @property
    def bytes(self) -> int:
        return sum(victim.bytes for victim in self.victims)


def plan(
    records: Sequence[Record],
    conditions: Sequence[Condition],
    keep: int,
    metric: str | None = None,
    what: What = "checkpoints",
) -> Plan:
    """Of each pair of model and data the best stay, by the metric or by what each run chose its checkpoint by.

    What is not done, and could be gone on with, stays too unless a condition names its status.
    """
    kept: Counter[str] = Counter()
    needed = _begun_from(records)
    above = {folder for one in records for folder in one.path.parents} if what == "runs" else set()
    ranked: defaultdict[tuple[object, ...], list[tuple[float, Record]]] = defaultdict(list)
    victims = []
    for one in chosen(map(living, records), conditions):
        name = metric or str(one.config.get("checkpoint.monitor"))
        value = one.results.get(name)
        if one.status == "running":
            kept["at work"] += 1
        elif not one.is_run:
            kept["that cannot be told to be runs: run.json or config.yaml is missing or damaged"] += 1
        elif one.path in above:
            kept["that other runs lie below"] += 1
        elif one.status != "done" and not any(c.name == "status" for c in conditions):
            kept["not done: --where status=… chooses them"] += 1
        elif any(_is_at(one.path, path) for path in needed):
            kept["whose weights an unfinished run begins from"] += 1
        elif one.status != "done":
            victims.append(one)
        elif value is None:
            kept[f"without {name}"] += 1
        else:
            worse = math.inf if math.isnan(value) else value if less_is_better(name, [one.config]) else -value
            ranked[one.config.get("model"), one.config.get("data"), name].append((worse, one))
    for group in ranked.values():
        group.sort(key=lambda pair: (pair[0], str(pair[1].path)))
        kept["among the best"] += len(group[:keep])
        victims += [one for _, one in group[keep:]]
    sized = [Victim(one, _bytes(one.path, what)) for one in sorted(victims, key=lambda one: one.path)]
    worth = [victim for victim in sized if victim.bytes or what == "runs"]
    kept["without checkpoints"] += len(sized) - len(worth)
    return Plan(what, worth, +kept)


def _begun_from(records: Sequence[Record]) -> list[Path]:
    """The runs that others will read again when they go on."""
    options = ("continue_from", "model.init_from", "model.teacher")
    names = {one.config.get(name) for one in records if one.status != "done" for name in options}
    return [Path(name).expanduser() for name in names if isinstance(name, str)]


def _is_at(run: Path, named: Path) -> bool:
    """Whether a run may be the one of that name; a relative one was named from a place that is not known."""
    return named.resolve() == run or (bool(named.parts) and run.parts[-len(named.parts) :] == named.parts)


def _bytes(run: Path, what: What) -> int:
    return size(run) if what == "runs" else sum(file.lstat().st_size for file in _weights(run))


def _weights(run: Path) -> list[Path]:
    folder = run / "checkpoints"
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        files = [entry for entry in entries if WEIGHTS.fullmatch(entry.name)]
        return [Path(entry.path) for entry in files if not entry.is_dir(follow_symlinks=False)]


def carry_out(run: Record, what: What) -> int:
    """Deletes while no other process can train the run, and answers how many bytes. No link is followed."""
    with opened(run.path) as directory, directory.held():
        described = described_by(directory.read("run.json"), run.path / "run.json")
        now = printable(described["status"])
        if now != ("running" if run.status == DEAD else run.status):
            raise UserError(f"{run.path}: is {now} now, it was {run.status}; look again")
        count = _bytes(run.path, what)
        if what == "runs":
            _remove(directory)
        else:
            content = json.dumps(scrub({**described, "pruned": now_text()}), indent=2, ensure_ascii=False)
            directory.replace("run.json", content + "\n")  # why they are missing is written down before
            with directory.folder("checkpoints") as folder:
                for name in _names(folder):
                    os.unlink(name, dir_fd=folder)
    return count


def _remove(run: Opened) -> None:
    """All of it, if it is a run's alone."""
    with run.folder("checkpoints") as folder:
        if folder is None:
            raise UserError(
                f"{run.path}: has no directory checkpoints, as every run has; delete it by hand if it is one"
            )
    if (other := others_below(run)) is not None:
        raise UserError(f"{run.path}: holds what is not its own, {other}; move that elsewhere")
    run.remove()


def _names(folder: int | None) -> list[str]:
    """Of the weights in an open directory, and what belongs to them."""
    if folder is None:
        return []
    with os.scandir(folder) as entries:
        return [e.name for e in entries if WEIGHTS.fullmatch(e.name) and not e.is_dir(follow_symlinks=False)]
