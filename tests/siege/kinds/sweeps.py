"""Sweep directories of a stranger: the sweep's file, its study, its jobs' directories and what these tell."""

from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from attnpred.sweep import job, trials
from tests.siege import odd
from tests.siege.case import Case, Edit, read
from tests.siege.oracle import Action, by_command
from tests.sweep.made import FAKE

WEIGHT, BASES, PROGRAMS = 2, ("grid", "search"), ("git ", " ".join(FAKE))
CODES: tuple[int, ...] = (1,)  # a job failed
OPEN: tuple[str, ...] = ()
FILES = ("sweep.json", "sweep.json", "sweep.json", "0/run.json", "0/metrics.json", "1/run.json", "1/metrics.json")
LINES = {"grid": ("1/metrics.jsonl",), "search": ("1/metrics.jsonl", "study.journal", "study.journal")}
OTHERS = (
    "0",
    "1",
    "0/job.log",
    "1/job.log",
    ".lock",
    "1/prune",
    "study.journal",
    "study.journal.lock",
    "plots",
    "2",
    "1/.lock",
)
# what makes a sweep longer than can be waited for; it is the sweep's right
LONG = ("n_trials", "sampler", "study_name", "timeout")


def _with_fake_jobs(action: Action) -> Action:
    def act(place: Path, case: Case) -> int:
        job.PROGRAM[:] = FAKE
        trials.Trials.plot = lambda self: None  # type: ignore[method-assign]  # takes a second, and reads nothing more
        return action(place, case)

    return act


ACTIONS = {
    "resume": _with_fake_jobs(by_command("resume", "{place}")),
    "runs": by_command("runs", "{place}", "--json"),
    "compare": by_command("compare", "{place}"),
}
UNTOUCHED = frozenset({"runs", "compare"})
NEEDS = ("attnpred.commands.resume", "attnpred.sweep.sweepers.optuna", "attnpred.compare.comparison")
GUIDED = {
    "sweep.json": (
        lambda text: Case("sweeps", "resume", (["write", "sweep.json", text],), "grid"),
        lambda bases: (bases / "grid" / "sweep.json").read_text(encoding="utf-8"),
    )
}


def _long(edit: Edit) -> bool:
    return edit[0] == "put" and any(word in str(edit[2:]) for word in LONG)


@cache
def _spoilt(bases: Path, base: str) -> st.SearchStrategy[Edit]:
    documents: dict[str, Any] = {name: read(bases / base / name) for name in (*FILES, *LINES[base])}
    within = [odd.spoilt(name, documents[name]) for name in (*FILES, *LINES[base])]
    around = st.sampled_from(OTHERS).flatmap(lambda name: odd.rewritten(name) | odd.replaced(name))
    asked = st.tuples(st.sampled_from(range(2)), st.sampled_from(odd.TEXTS)).map(
        lambda found: ["put", "sweep.json", ["overrides", found[0]], f"seed={found[1]}"]
    )
    return st.one_of(*within, around, asked).filter(lambda edit: not _long(edit))


def cases(bases: Path) -> st.SearchStrategy[Case]:
    @st.composite
    def made(draw: st.DrawFn) -> Case:
        base, action = draw(st.sampled_from(BASES)), draw(st.sampled_from([*["resume"] * 8, "runs", "compare"]))
        return Case("sweeps", action, draw(odd.edits(_spoilt(bases, base))), base)

    return made()
