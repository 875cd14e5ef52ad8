"""Run directories of a stranger: every file of them, and every verb that looks at one."""

from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.siege import odd
from tests.siege.case import Case, Edit, read
from tests.siege.kinds import TRIED
from tests.siege.oracle import by_command

WEIGHT, BASES, PROGRAMS, CODES, OPEN = 4, ("text", "image", "series", "translation", "crossed"), ("git ", TRIED), (), ()
FILES = ("config.yaml", "run.json", "metrics.json", "metrics.jsonl", "spec.json", "checkpoints/checksums.json")
OTHERS = (
    ".lock",
    "prune",
    "metrics.csv",
    "random",
    "tensorboard",
    "explanations",
    "checkpoints/before.ckpt",
    "x",
    "found",
    "plots",
)
INPUTS = {
    "text": ("a fine film",),
    "image": ("{place}/digit.png",),
    "series": ("{place}/theirs/good.jsonl",),
    "translation": ("a film 3",),
    "crossed": ("--input", "text=a film 3", "--input", "image={place}/theirs/1.png"),
}
ACTIONS = {
    "runs": by_command("runs", "{place}"),
    "runs_json": by_command("runs", "{place}", "--json"),
    "running": by_command("runs", "{place}", "--running", "--json"),
    "where": by_command("runs", "{place}", "--where", "status=done", "--json"),
    "compare": by_command("compare", "{place}", "{place}/."),
    "prune_dry": by_command("prune", "{place}", "--keep", "best:0", "--dry-run"),
    "prune": by_command("prune", "{place}", "--keep", "best:0", "--yes"),
    "prune_runs": by_command("prune", "{place}", "--keep", "best:0", "--what", "runs", "--yes"),
    "predict": by_command("predict", "{place}", "*"),
    "evaluate": by_command("evaluate", "{place}"),
    "explain": by_command("explain", "{place}", "*", "--json"),
    "resume": by_command("resume", "{place}"),
    "init_from": by_command("train", "*", "model.init_from={place}"),
}
OFTEN = ("runs", "runs_json", "running", "where", "compare", "prune_dry", "prune", "prune_runs", "predict", "predict")
SELDOM = ("evaluate", "explain", "resume")
UNTOUCHED = frozenset(ACTIONS) - {"prune", "prune_runs", "resume", "evaluate"}
NEEDS = (
    *("attnpred.inference.evaluate", "attnpred.inference.predict", "attnpred.training.train", "attnpred.explain.run"),
    "captum.attr",  # whose matplotlib asks once which fonts there are
)


def _guided(name: str, action: str, given: tuple[str, ...] = ()) -> Any:
    return (
        lambda text: Case("runs", action, (["write", name, text],), "image", given),
        lambda bases: (bases / "image" / name).read_text(encoding="utf-8"),
    )


GUIDED = {
    "run.json": _guided("run.json", "runs_json"),
    "metrics.json": _guided("metrics.json", "compare"),
    "metrics.jsonl": _guided("metrics.jsonl", "running"),
    "config.yaml": _guided("config.yaml", "predict", INPUTS["image"]),
    "spec.json": _guided("spec.json", "predict", INPUTS["image"]),
}


@cache
def _spoilt(bases: Path, base: str) -> st.SearchStrategy[Edit]:
    """Something wrong with one of the run's files, most often within it."""
    kinds = [odd.spoilt(name, read(bases / base / name)) for name in FILES]
    others = st.one_of(
        st.sampled_from(OTHERS).flatmap(lambda name: st.one_of(odd.rewritten(name), odd.replaced(name))),
        st.sampled_from(["checkpoints", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "spec.json"]).flatmap(
            odd.replaced
        ),
    )
    return st.one_of(*kinds, *kinds, others)


def cases(bases: Path) -> st.SearchStrategy[Case]:
    @st.composite
    def made(draw: st.DrawFn) -> Case:
        base = draw(st.sampled_from(BASES))
        action = draw(st.sampled_from([*OFTEN, *OFTEN, *SELDOM]))
        edits = draw(odd.edits(_spoilt(bases, base)))
        if "config.yaml" in [edit[1] for edit in edits] and action == "resume":
            action = "predict"  # a run goes on as its config says, for ever where that says so
        given = INPUTS[base] if action in ("predict", "explain") else ()
        return Case("runs", action, edits, base, given)

    return made()
