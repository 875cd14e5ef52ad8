"""How many threads compute: one for each core that other work leaves free.

The threads of one operation wait for one another. Where other processes hold up one of them, all are late, hundreds of
times a step: a thread fewer is several times faster then.
"""

import os
from functools import cache
from pathlib import Path
from typing import Literal

BUSY = slice(0, 8)  # user, nice, system, idle, iowait, irq, softirq, steal of a line of /proc/stat
RESTING = (3, 4)  # of these, idle and iowait
SHORTEST = 0.5  # seconds over which a share can be told
MARGIN = 0.25  # cores that must be free beyond a whole one before a thread is added
STAT = Path("/proc/stat")
QUOTAS = (Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))


def cores() -> int:
    """Those that this process may use: by its affinity, and by the quota of its container."""
    allowed = len(_allowed())
    quota = _quota()
    return allowed if quota is None else max(1, min(allowed, round(quota)))


def fixed() -> bool:
    """Whether the user, or whoever started this process, has set the number."""
    return bool(os.environ.get("OMP_NUM_THREADS"))


@cache
def most() -> int:
    """As many as torch would take by itself, within the quota; asked for first before the number is changed."""
    import torch

    return max(1, min(torch.get_num_threads(), cores()))


def follow(load: "Load") -> None:
    """Takes as many as fit beside what others kept busy since `load` was made, where nobody has set the number."""
    import torch

    if not fixed():
        torch.set_num_threads(fitting(most(), load.others()))


def use(asked: int | Literal["auto"]) -> None:
    """Takes the number that an option asks for; auto leaves it as it is."""
    import torch

    if asked != "auto":
        torch.set_num_threads(asked)


def fitting(most: int, others: float | None, now: int | None = None) -> int:
    """The number of threads beside processes that keep `others` cores busy; `now` compute at present."""
    if others is None:
        return most if now is None else now
    number = max(1, min(most, int(most - others + 0.5)))
    if now is not None and number > now:
        number = max(now, min(number, int(most - others + 0.5 - MARGIN)))
    return number


class Load:
    """Measures how busy other processes keep the cores that this one may use; on Linux alone."""

    def __init__(self) -> None:
        self.busy, self.own, self.passed = self._look()

    def others(self) -> float | None:
        """The cores that they kept busy since the last call; None where that cannot be told."""
        busy, own, passed = self._look()
        ticks = passed - self.passed
        per_second = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
        if ticks < SHORTEST * per_second * len(_allowed()):
            return None
        seconds = ticks / per_second / len(_allowed())
        kept = (busy - self.busy) / per_second - (own - self.own)
        self.busy, self.own, self.passed = busy, own, passed
        return max(0.0, kept / seconds)

    @staticmethod
    def _look() -> tuple[int, float, int]:
        """Ticks in which the allowed cores worked, seconds of them that were ours, and ticks that passed, of all."""
        own = os.times()
        try:
            lines = STAT.read_text().splitlines()
        except OSError:
            return 0, 0.0, 0
        names = {f"cpu{number}" for number in _allowed()}
        ticks = [[int(n) for n in line.split()[1:]][BUSY] for line in lines if line.split(maxsplit=1)[0] in names]
        passed = sum(map(sum, ticks))
        return passed - sum(each[i] for each in ticks for i in RESTING), own.user + own.system, passed


def _allowed() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _quota() -> float | None:
    """Cores that a container may use up, by the second or the first version of control groups; None where all."""
    second, first = QUOTAS
    try:
        if second.exists():
            most, period = second.read_text().split()
        else:
            most, period = first.read_text(), first.with_name("cpu.cfs_period_us").read_text()
        return None if most == "max" or int(most) <= 0 else int(most) / int(period)
    except (OSError, ValueError):
        return None
