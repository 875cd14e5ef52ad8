"""Jobs on a Ray cluster, which finds cores and GPUs for them, and others when a machine is lost."""

import logging
import os
import signal
from dataclasses import dataclass
from typing import Any

from attnpred.config.options import LauncherConfig
from attnpred.config.schema import option
from attnpred.errors import NotInstalled, UserError
from attnpred.machine import processes
from attnpred.sweep.errand import LOST, Errand, note
from attnpred.sweep.job import Job

HANDED_ON = ("ATTNPRED_", "HF_")  # what begins so in the environment holds on all machines


@dataclass(kw_only=True)
class RayConfig(LauncherConfig):
    address: str | None = option(
        "The cluster, as HOST:PORT. auto is the one that this machine belongs to, local one made for the sweep. "
        "With null it is the former where there is one."
    )
    cpus: float = option("Cores that a job takes.", ge=0)
    gpus: float = option("GPUs that a job takes, or the part of one, which others share.", ge=0)
    retries: int = option("How often a job is started again whose machine was lost.", ge=0)


class Ray:
    """A task a job, which runs the job's command."""

    def __init__(self, config: RayConfig) -> None:
        try:
            import ray
        except ImportError:
            raise NotInstalled("hydra/launcher=ray", "ray", "ray") from None
        self.ray = ray
        self.running: dict[Any, Job] = {}  # by the exit code to come
        self.handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        handed = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
        environment = {**handed, "PYTHONPATH": processes.environment()["PYTHONPATH"]}
        try:
            ray.init(
                address=config.address,
                runtime_env={"env_vars": environment},
                logging_level=logging.WARNING,
                log_to_driver=False,
            )
        except (ConnectionError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"hydra.launcher.address={config.address}: no cluster answers ({reason}); begin one with ray start "
                "--head, or leave the address out"
            ) from None
        needs = {"num_cpus": config.cpus, "num_gpus": config.gpus, "max_retries": config.retries}
        self.errand = ray.remote(lambda *errand: Errand(*errand).run()).options(**needs)

    def start(self, job: Job, command: list[str], directory: str) -> None:
        self.running[self.errand.remote(command, directory, job.directory)] = job

    def finished(self, timeout: float) -> list[tuple[Job, int]]:
        ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=timeout)
        return [(job := self.running.pop(code), self._code(job, code)) for code in ready]

    def stop(self) -> None:
        for code in self.running:
            self.ray.cancel(code)

    def _code(self, job: Job, code: Any) -> int:
        problems = self.ray.exceptions
        try:
            return int(self.ray.get(code))
        except problems.TaskCancelledError:
            return -signal.SIGTERM  # before it began
        except problems.RayError as error:
            note(job, error)
            return 1 if isinstance(error, problems.RayTaskError) else LOST

    def close(self) -> None:
        self.ray.shutdown()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
