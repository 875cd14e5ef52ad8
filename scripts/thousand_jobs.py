"""What a sweep costs its parent: jobs that do nothing but end, so that all there is to measure is the parent's own.

    python -m scripts.thousand_jobs
    python -m scripts.thousand_jobs --jobs 50 --only processes

Each way runs in a process of its own, once with the jobs and once with a tenth of them; what a job costs is the
difference, since imports and the like are paid once. Writes the table of docs/cluster.md. Ways whose package is missing
are left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec

from attnpred.cli import main as attnpred
from attnpred.sweep import job
from scripts.tables import DOCS, put

PAGE = DOCS / "cluster.md"
GRID = ["seed=range({jobs})"]
SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials={jobs}", "optimizer.lr=interval(0.1,0.9)"]


@dataclass(frozen=True)
class Way:
    title: str
    overrides: list[str]
    needs: str = "hydra"  # a package


WAYS = {
    "processes": Way("processes, 8 at once", ["hydra.launcher.n_jobs=8", *GRID]),
    "search": Way("processes, 8 at once, Optuna", ["hydra.launcher.n_jobs=8", *SEARCH], "optuna"),
    "ray": Way("Ray, 16 at once", ["hydra/launcher=ray", "hydra.launcher.address=local", *GRID], "ray"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--parent", nargs="+", help=argparse.SUPPRESS)  # the overrides of the sweep to be measured
    args = parser.parse_args()
    if args.parent:
        print(json.dumps(cost(args.parent)))
        return 0
    rows = []
    for way in (WAYS[name] for name in args.only):
        if find_spec(way.needs) is None:
            print(f"{way.title}: left out, {way.needs} is not installed", file=sys.stderr)
            continue
        few, many = max(1, args.jobs // 10), args.jobs
        small, large = (measured(way, count) for count in (few, many))
        cpu, wall = (1000 * (large[name] - small[name]) / (many - few) for name in ("cpu", "wall"))
        rows.append(
            f"| {way.title} | {many:,} | {large['wall']:,.0f} s | {wall:,.1f} ms | {cpu:,.1f} ms "
            f"| {small['memory']:,.0f} MiB | {large['memory']:,.0f} MiB |"
        )
        print(rows[-1], file=sys.stderr)
    head = "| jobs run by | jobs | in all | a job: time | a job: parent's CPU | its memory, a tenth | its memory, all |"
    table = "\n".join([head, "|---|---|---|---|---|---|---|", *rows])
    put(f"{table}\n\n{os.cpu_count()} cores, Python {sys.version.split()[0]}, {date.today()}.", "jobs", PAGE)
    return 0


def measured(way: Way, count: int) -> dict[str, float]:
    """Of a sweep of so many jobs: seconds of wall clock and of the parent's CPU, and its peak memory in MiB."""
    command = [sys.executable, "-m", "scripts.thousand_jobs", "--parent"]
    command += [override.format(jobs=count) for override in way.overrides]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def cost(overrides: list[str]) -> dict[str, float]:
    """Runs the sweep in this process, which is its parent."""
    job.PROGRAM[:] = ["true"]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place, redirect_stdout(sys.stderr):
        code = attnpred(["train", "-m", f"output_dir={place}", *overrides])
    wall, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    if code:
        raise RuntimeError(f"the sweep ended with {code}")
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024}


if __name__ == "__main__":
    sys.exit(main())
