"""Sweeps whose processes are killed at random, one after another for as long as asked, and two processes that stay.

    python -m scripts.soak --minutes 240

A sweep of real runs is begun, and killed every now and then: its parent, or any process below it; the same command goes
on until it is done. Then it must hold exactly its jobs, each done once, and the files of a sweep that nobody disturbed.
Beside them, for the whole time, one run trains, saving at every step, and one sweep starts job after job.

After every sweep is counted what must not grow: processes, locks and files, files in the temporary directory and in
/dev/shm, and of the two that stay memory, open files, threads and children. Writes `scripts/soak.json` and the table of
docs/reliability.md.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from scripts import quick_job, tables
from scripts.machine import machine
from scripts.marked import Tree
from scripts.undisturbed import below

RESULT = Path(__file__).with_suffix(".json")
PAGE = tables.DOCS / "reliability.md"
SHARED = Path("/dev/shm")
TINY = ["data=digits", "model.width=8", "model.depth=1", "data.batch_size=64", "trainer.attention_examples=0"]
SWEPT = ["train", "-m", *TINY, "trainer.max_epochs=2", "checkpoint.every_steps=1", "seed=0,1,2"]
JOBS = 2000  # of the sweep that stays, more than the time allows
STAYING = {
    "the run that trains": ["attnpred", "train", *TINY, "trainer.max_epochs=100000", "checkpoint.every_steps=1"],
    "the sweep that starts jobs": ["scripts.quick_job", "train", "-m", *TINY, f"seed=range({JOBS})"],
}
MOST_KILLS = 20  # of one sweep, which ends undisturbed then: on a busy machine it would get nowhere
WARM = 0.25  # the part of the time after which what stays has all that it needs
LEAVING = 10.0  # seconds


@dataclass
class Counted:
    """The counts after every sweep, by name."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=240)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    started, moments = time.monotonic(), random.Random(args.seed)
    counted, wrong, kills, sweeps = Counted(), [], 0, 0
    with tempfile.TemporaryDirectory(prefix="attnpred-soak-") as name:
        place = Path(name)
        (temporary := place / "tmp").mkdir()
        os.environ["TMPDIR"] = str(temporary)  # of all that is started here
        begun = time.monotonic()
        swept(place / "whole", None, 0)
        length = time.monotonic() - begun
        expected = below(place / "whole")
        before = set(os.listdir(SHARED)) if SHARED.is_dir() else set()  # noqa: PTH208
        pause = 1.2 * 60 * args.minutes / JOBS
        staying = {title: stay(place / str(n), words, pause) for n, (title, words) in enumerate(STAYING.items())}
        try:
            while time.monotonic() - started < 60 * args.minutes:
                found, count = swept(place / f"sweep-{sweeps}", moments, length)
                sweeps, kills = sweeps + 1, kills + count
                found += compared(place / f"sweep-{sweeps - 1}", expected)
                wrong += found
                count_all(counted, staying, temporary, before)
                if not found:
                    shutil.rmtree(place / f"sweep-{sweeps - 1}")
                print(f"{sweeps} sweeps, {kills} kills, {len(wrong)} wrong", *found, flush=True)
                wrong += [f"{title} ended" for title, tree in staying.items() if tree.top.poll() is not None]
        finally:
            jobs = jobs_of(place / "1")
            for tree in staying.values():
                tree.kill()
        wrong += [f"{title}: a process stays" for title, tree in staying.items() if tree.gone_after(LEAVING) > LEAVING]
    result = {
        "minutes": round((time.monotonic() - started) / 60, 1),
        "sweeps": sweeps,
        "kills": kills,
        "jobs of the sweep that stays": jobs,
        "wrong": wrong,
        "counted": {name: summed(values) for name, values in counted.values.items()},
        "seed": args.seed,
        "machine": machine(),
        "date": date.today().isoformat(),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    tables.put(table(result), "soak", PAGE)
    return 1 if wrong else 0


def table(result: dict[str, Any]) -> str:
    head = "| after every sweep was counted | at first | at the end | most |"
    rows = [f"| {name} | {of['first']:g} | {of['last']:g} | {of['most']:g} |" for name, of in result["counted"].items()]
    foot = (
        f"{result['minutes']:g} minutes: {result['sweeps']} sweeps of 3 runs, {result['kills']} kills, "
        f"{len(result['wrong'])} things wrong; meanwhile the sweep that stays started "
        f"{result['jobs of the sweep that stays']:,} jobs. At first: after the first {WARM:.0%} of the time. "
        f"Seed {result['seed']}, {result['machine']}, {result['date']}."
    )
    return "\n".join([head, "|---|---|---|---|", *rows, "", foot])


def summed(values: list[float]) -> dict[str, float]:
    """Medians of the first and last few values, after all has warmed up, and the most there ever was."""
    later = values[int(WARM * len(values)) :]
    few = max(1, len(later) // 5)
    first, last = statistics.median(later[:few]), statistics.median(later[-few:])
    return {"first": round(first, 1), "last": round(last, 1), "most": round(max(values), 1)}


def stay(place: Path, words: list[str], pause: float) -> Tree:
    place.mkdir()
    module, *rest = words
    return Tree([sys.executable, "-m", module, *rest, *places(place)], None, **{quick_job.PAUSE: str(pause)})


def places(place: Path) -> list[str]:
    return [f"output_dir={place / 'outputs'}", f"data.cache_dir={place / 'cache'}"]


def swept(place: Path, moments: random.Random | None, length: float) -> tuple[list[str], int]:
    """A sweep to its end; what was wrong, and how often it was killed.

    Where there are moments for it, that is within each `length`, which an undisturbed one takes.
    """
    wrong, kills = [], 0
    place.mkdir()
    while True:
        log = place.with_name(f"{place.name}.log")
        tree = Tree([sys.executable, "-m", "attnpred", *SWEPT, "hydra.launcher.n_jobs=2", *places(place)], log)
        end = float("inf")
        if moments is not None and kills < MOST_KILLS:
            end = time.monotonic() + moments.uniform(0, length)
        while tree.top.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if tree.top.poll() is None:
            assert moments is not None
            kills += 1
            kill_one(tree, moments)
        code = tree.top.wait()
        if tree.gone_after(LEAVING) > LEAVING:
            wrong.append(f"{len(tree.alive())} processes stay")
            tree.clear()
        if code == 0 or is_done(place):  # when it was killed
            return wrong, kills
        if code not in (-signal.SIGKILL, 1, 143):  # 1: a job was killed below its parent, and counts as failed
            wrong.append(f"exit code {code}: {log.read_text().splitlines()[-1:]}")
            return wrong, kills


def is_done(place: Path) -> bool:
    states = [json.loads(file.read_text(encoding="utf-8"))["status"] for file in place.rglob("sweep.json")]
    return states == ["done"]


def kill_one(tree: Tree, moments: random.Random) -> None:
    """The parent, or any process below it, after which the parent is left to end or killed too."""
    other = moments.choice(tree.alive())
    if moments.random() < 0.5 and other != tree.top.pid:
        with suppress(OSError):
            os.kill(other, signal.SIGKILL)
        time.sleep(moments.uniform(0, 5))
    tree.kill()


def compared(place: Path, expected: set[str]) -> list[str]:
    """Exactly the jobs, each done once, and no file more or less."""
    files = list(place.rglob("sweep.json"))
    if len(files) != 1:
        return [f"{len(files)} sweeps"]
    state = json.loads(files[0].read_text(encoding="utf-8"))
    found = [] if state["status"] == "done" else [f"the sweep is {state['status']}"]
    jobs = [(job["number"], job["status"]) for job in state["jobs"]]
    runs = [json.loads(file.read_text(encoding="utf-8"))["status"] for file in place.rglob("run.json")]
    if jobs != [(number, "done") for number in range(3)] or runs != ["done"] * 3:
        found.append(f"jobs {jobs}, runs {runs}")
    names = below(place)
    found += [f"left over: {name}" for name in sorted(names - expected)]
    return found + [f"missing: {name}" for name in sorted(expected - names)]


def count_all(counted: Counted, staying: dict[str, Tree], temporary: Path, before: set[str]) -> None:
    for title, tree in staying.items():
        own = Path(f"/proc/{tree.top.pid}")
        with suppress(OSError):
            status = dict(line.split(":\t", 1) for line in (own / "status").read_text().splitlines())
            counted.add(f"{title}: memory, MiB", int(status["VmRSS"].split()[0]) / 1024)
            counted.add(f"{title}: threads", int(status["Threads"]))
            counted.add(f"{title}: open files", len(list((own / "fd").iterdir())))
            counted.add(f"{title}: processes", len(tree.alive()))
    counted.add("files in the temporary directory", len(list(temporary.rglob("*"))))
    if SHARED.is_dir():
        counted.add("new files in /dev/shm", len(set(os.listdir(SHARED)) - before))  # noqa: PTH208


def jobs_of(place: Path) -> int:
    state = next(place.rglob("sweep.json"), None)
    return 0 if state is None else sum(job["status"] == "done" for job in json.loads(state.read_text())["jobs"])


if __name__ == "__main__":
    sys.exit(main())
