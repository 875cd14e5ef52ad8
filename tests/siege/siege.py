"""A whole siege: bases, the corpus, and generated inputs of every kind on several processes; and what came of it."""

import gc
import importlib
import json
import sys
import time
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.siege import bases, guided, reduce, report
from tests.siege.case import Case
from tests.siege.kinds import NAMES, load
from tests.siege.worker import Tally, generated, replay, storm

BATCH = 400  # inputs that one process tries before the next takes its turn
USUAL = 20_000
WARM = 20  # inputs of a kind that are made before any is tried: what that takes once is not done in every process


def run(args: Namespace, root: Path, corpus: Path) -> int:
    if args.reduce:
        case = Case.of(args.reduce.read_text(encoding="utf-8"))
        _prepare([case.kind], root)
        print(reduce.reduced(case, root, root / "bases").text())
        return 0
    kinds = args.kind or list(NAMES)
    begun = time.monotonic()
    _prepare(kinds, root)
    tallies = {kind: Tally() for kind in kinds}
    failed = _replayed(kinds, root, corpus, tallies)
    if not args.corpus_only:
        _stormed(args, kinds, root, tallies, begun)
    minutes = (time.monotonic() - begun) / 60
    result = report.result(tallies, args.seed, minutes, args.jobs)
    print(report.table(result), flush=True)
    _told(tallies, failed)
    if args.keep:
        report.keep(result)
    return 1 if any(report.count(kind, tally, open_ones=False) for kind, tally in tallies.items()) else 0


def _prepare(kinds: list[str], root: Path) -> None:
    for needed in dict.fromkeys(need for kind in kinds for need in load(kind).NEEDS):
        importlib.import_module(needed)
    (root / "bases").mkdir()
    if names := {name for kind in kinds for name in load(kind).BASES}:
        bases.make(names, root / "bases")
    for kind in kinds:
        generated(kind, WARM, 0, root / "bases")
    gc.collect()
    gc.freeze()  # else every process forked from this one would go through all of it, and copy it


def _replayed(kinds: list[str], root: Path, corpus: Path, tallies: dict[str, Tally]) -> list[str]:
    """The names of what fails of the corpus."""
    files = [file for kind in kinds for file in sorted((corpus / kind).glob("*.json"))]
    cases = [Case.of(file.read_text(encoding="utf-8")) for file in files]
    failed = []
    for file, case, verdict in zip(files, cases, replay(cases, root, root / "bases"), strict=True):
        tallies[case.kind].add(json.loads(case.text()), verdict)
        if verdict.outcome == "failed":
            failed.append(f"{file.parent.name}/{file.name}: {verdict.signature}")
    return failed


def _stormed(args: Namespace, kinds: list[str], root: Path, tallies: dict[str, Tally], begun: float) -> None:
    """Batches of all kinds in turn, so that whenever time is up all had their share."""
    whole = args.count or USUAL
    weights = {kind: load(kind).WEIGHT for kind in kinds}
    share = {kind: max(1, round(whole * weight / sum(weights.values()))) for kind, weight in weights.items()}
    tasks = []
    for kind in kinds:
        names = list(load(kind).GUIDED) if guided.available() else []
        by_guide = int(share[kind] * args.guided) // len(names) if names else 0
        tasks += [(0, kind, by_guide, args.seed + 1, name) for name in names if by_guide]
        share[kind] -= by_guide * len(names)
        for turn, begin in enumerate(range(0, share[kind], BATCH)):
            tasks.append((turn, kind, min(BATCH, share[kind] - begin), args.seed * 10**9 + turn * 10**6, ""))
    tasks.sort(key=lambda task: task[0])
    until = begun + args.seconds
    with ProcessPoolExecutor(args.jobs, get_context("fork")) as pool:
        futures = {pool.submit(_batch, kind, n, first, root, until, name): kind for _, kind, n, first, name in tasks}
        for future in as_completed(futures):
            kind = futures[future]
            tallies[kind].merge(found := future.result())
            print(f"{kind}: {tallies[kind].tried:,} tried", file=sys.stderr, flush=True)
            for signature, one in found.failures.items():
                print(
                    f"  {one['count']} × {signature}\n  {json.dumps(one['case'])[:3000]}", file=sys.stderr, flush=True
                )


def _batch(kind: str, count: int, first: int, root: Path, until: float, name: str) -> Tally:
    """`name` is the file that atheris writes; without one the kind's own strategy makes the inputs."""
    if (left := until - time.monotonic()) <= 0:
        return Tally()
    how = partial(guided.storm, name=name) if name else storm
    return how(kind, count, left, first, root, root / "bases")


def _told(tallies: dict[str, Tally], failed: list[str]) -> None:
    for line in failed:
        print(f"of the corpus: {line}")
    for kind, tally in tallies.items():
        for signature, found in tally.failures.items():
            known = " (open)" if report.is_open(kind, signature) else ""
            print(f"\n{kind}{known}: {found['count']} × {signature}\n{found['detail'][-1500:]}")
            print(json.dumps(found["case"])[:3000])
