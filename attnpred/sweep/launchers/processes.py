"""Jobs as processes of this machine, which share out its GPUs and cores."""

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from subprocess import Popen
from typing import Any

from attnpred.config.options import LauncherConfig
from attnpred.machine import processes, threads
from attnpred.sweep import slots
from attnpred.sweep.job import LOG, Job

PAUSE = 0.02  # seconds between two looks at the children


@dataclass(kw_only=True)
class ProcessesConfig(LauncherConfig):
    pass


class Processes:
    """Starts jobs as children that end with their parent, hears of their ends, and hands signals on to them."""

    def __init__(self, config: ProcessesConfig) -> None:
        self.several = config.n_jobs > 1
        self.gpus = slots.Slots(slots.visible(), config.n_jobs)
        self.threads = max(1, threads.cores() // config.n_jobs)
        self.running: dict[int, tuple[Job, Popen[bytes]]] = {}

    def start(self, job: Job, command: list[str], directory: str) -> None:
        environment = processes.environment()
        if self.several:
            environment.setdefault("OMP_NUM_THREADS", str(self.threads))
            if (taken := self.gpus.take(job.number, job.devices)) is not None:
                environment["CUDA_VISIBLE_DEVICES"] = taken
        with ExitStack() as stack:
            log: Any = stack.enter_context((job.directory / LOG).open("ab")) if self.several else None
            child = processes.start(command, directory, environment, log)
        self.running[job.number] = (job, child)

    def finished(self, timeout: float) -> list[tuple[Job, int]]:
        deadline = time.monotonic() + timeout
        while True:
            ended = [(job, child.returncode) for job, child in self.running.values() if child.poll() is not None]
            if ended or time.monotonic() >= deadline:
                break
            time.sleep(PAUSE)
        for job, _ in ended:
            del self.running[job.number]
            self.gpus.give_back(job.number)
        return ended

    def stop(self) -> None:
        for _, child in self.running.values():
            child.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Reached with children only where the parent fails: they leave as their parent does."""
        for _, child in self.running.values():
            child.terminate()
        for _, child in self.running.values():
            child.wait()
