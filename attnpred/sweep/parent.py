"""The parent of a sweep: has jobs started and hears of their ends, until there are none left or a signal comes."""

import signal
from types import FrameType

from attnpred.config.options import LauncherConfig
from attnpred.errors import Interrupted
from attnpred.sweep import outcome
from attnpred.sweep.executor import Executor
from attnpred.sweep.job import OVER, Job
from attnpred.sweep.state import Sweep, now, working_directory
from attnpred.sweep.sweeper import Sweeper
from attnpred.sweep.table import Table

TICK = 0.5  # seconds between two looks at what runs


class Parent:
    def __init__(
        self, sweep: Sweep, sweeper: Sweeper, executor: Executor, launcher: LauncherConfig, table: Table
    ) -> None:
        self.sweep, self.sweeper, self.executor, self.launcher, self.table = sweep, sweeper, executor, launcher, table
        self.running: list[Job] = []
        self.stopping = False  # no further job is started
        self.signal: int | None = None
        self.asked = False  # to stop, since the executor was last told

    def run(self) -> int:
        """Runs the sweep to its end and returns the exit code; what a signal ends can be gone on with."""
        previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        fault = None
        try:
            self._loop()
        except OSError as error:
            fault = error
        finally:
            self.executor.close()
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._end()
        if fault is not None and self.sweep.status == "interrupted":  # else all jobs are over, and written down now
            raise fault
        self.sweeper.close()
        if self.signal is not None:
            raise Interrupted(self.signal)
        return 0 if self.sweep.status == "done" else 1

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self.asked = self.stopping = True

    def _loop(self) -> None:
        directory = working_directory(self.sweep.directory)
        while True:
            while not self.stopping and len(self.running) < self.launcher.n_jobs and (job := self.sweeper.next()):
                self._start(job, directory)
            if not self.running:
                return
            if self.asked:
                self.asked = False
                self.executor.stop()
            for job, code in self.executor.finished(TICK):
                self._ended(job, code)
            for job in self.running:
                self.sweeper.watch(job)
            self.table.draw(self.running, self.sweeper.total())

    def _start(self, job: Job, directory: str) -> None:
        job.directory.mkdir(exist_ok=True)
        job.status, job.started, job.ended, job.error = "running", now(), None, None
        self.sweep.save(soon=True)
        self.running.append(job)
        self.table.started(job)
        self.executor.start(job, job.command(self.sweep.config_dir), directory)

    def _ended(self, job: Job, code: int) -> None:
        self.running.remove(job)
        job.ended = now()
        outcome.settle(job, code, list(self.sweep.objective))
        self.sweeper.ended(job)
        self.sweep.save(soon=True)
        self.table.ended(job, self.running, self.sweeper.total())
        if job.status == "failed" and self.launcher.on_failure == "stop" and not self.stopping:
            self.asked = self.stopping = True

    def _end(self) -> None:
        left = self.sweeper.total() - sum(job.status in OVER for job in self.sweep.jobs)
        failed = any(job.status == "failed" for job in self.sweep.jobs)
        self.sweep.status = "interrupted" if left else "failed" if failed else "done"
        self.sweep.ended = now()
        self.sweep.save()
        self.table.end(left)
