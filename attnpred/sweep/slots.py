"""What the jobs of this machine share: its GPUs and its cores."""

import os
import shutil

from attnpred.machine import processes


def visible() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes; torch is not asked."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",") if name.strip()]
        return names[: names.index("-1")] if "-1" in names else names  # what CUDA makes of it
    if shutil.which("nvidia-smi") is None:
        return []
    listed = processes.answer(["nvidia-smi", "--list-gpus"]) or ""
    found = [line for line in listed.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(found))]


class Slots:
    """Hands GPUs out to jobs, the least used first; more jobs than GPUs share them."""

    def __init__(self, names: list[str], jobs: int) -> None:
        self.share = max(1, len(names) // jobs)  # for a job that takes what it gets
        self.users = dict.fromkeys(names, 0)
        self.taken: dict[int, list[str]] = {}

    def take(self, job: int, count: int | None) -> str | None:
        """What the job's CUDA_VISIBLE_DEVICES should be; None where there is no GPU to give."""
        if not self.users:
            return None
        chosen = sorted(self.users, key=lambda name: self.users[name])[: count or self.share]
        for name in chosen:
            self.users[name] += 1
        self.taken[job] = chosen
        return ",".join(chosen)

    def give_back(self, job: int) -> None:
        for name in self.taken.pop(job, []):
            self.users[name] -= 1
