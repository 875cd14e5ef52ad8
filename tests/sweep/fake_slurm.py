"""Stands in for SLURM on this machine, under the names sbatch, srun, sacct, scancel and scontrol.

FAKE_SLURM names a directory: it holds each job's script, and a file `lost` with the jobs whose machine was lost.
A job is whatever has that and its number in the environment.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


def place() -> Path:
    return Path(os.environ["FAKE_SLURM"])


def sbatch(script: str) -> None:
    number = str(100 + len(list(place().glob("*.sh"))))
    (place() / f"{number}.sh").write_text(Path(script).read_text())
    begin(number)
    print(f"Submitted batch job {number}")


def begin(number: str) -> None:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "SLURM_JOB_ID": number, "SLURM_JOB_NAME": "job"}
    subprocess.Popen(["bash", str(place() / f"{number}.sh")], env=environment, start_new_session=True, **quiet)


def srun(*arguments: str) -> None:
    at = next(i for i, word in enumerate(arguments) if word.startswith("/"))
    while arguments[at - 1] in ("--output", "--error"):
        at = next(i for i, word in enumerate(arguments) if i > at and word.startswith("/"))
    one = dict.fromkeys(["SLURM_NTASKS", "SLURM_JOB_NUM_NODES", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES"], "1")
    zero = dict.fromkeys(["SLURM_NODEID", "SLURM_PROCID", "SLURM_LOCALID"], "0")
    os.execve(arguments[at], arguments[at:], {**os.environ, **one, **zero})


def sacct(*_: str) -> None:
    lost = (place() / "lost").read_text().split() if (place() / "lost").exists() else []
    print("JobID|State|NodeList")
    for script in place().glob("*.sh"):
        state = "NODE_FAIL" if script.stem in lost else "RUNNING" if processes(script.stem) else "COMPLETED"
        print(f"{script.stem}|{state}|here")


def scancel(number: str) -> None:
    send(number, signal.SIGTERM)


def scontrol(_: str, number: str) -> None:
    """Queues a job again, which ends what still runs of it."""
    begin(number)


def send(number: str, what: signal.Signals) -> None:
    for process in processes(number):
        os.kill(process, what)


def processes(number: str) -> list[int]:
    marks, found = {f"SLURM_JOB_ID={number}".encode(), f"FAKE_SLURM={place()}".encode()}, []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if marks <= {*(entry / "environ").read_bytes().split(b"\0")}:
                found.append(int(entry.name))
        except OSError:
            continue
    return [process for process in found if process != os.getpid()]


if __name__ == "__main__":
    globals()[Path(sys.argv[0]).name](*sys.argv[1:])
