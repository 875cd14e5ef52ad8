"""Jobs on a Ray cluster, which finds cores and GPUs for them, and others when a machine is lost."""

import logging
import os
import signal
from dataclasses import dataclass
from typing import Any

from attnpred import processes
from attnpred.config import LauncherConfig
from attnpred.errors import UserError
from attnpred.schema import option
from attnpred.sweep.errand import Errand
from attnpred.sweep.job import Job

HANDED_ON = ("ATTNPRED_", "HF_")  # what begins so in the environment holds on all machines
ANSWERS = 5.0  # seconds in which whoever runs a job answers
LOST = -signal.SIGKILL  # the exit code of a job that was lost with its machines, as often as it was tried


@dataclass(kw_only=True)
class RayConfig(LauncherConfig):
    address: str | None = option(
        "The cluster, as HOST:PORT; auto is the one that this machine belongs to, local one made for the sweep; null "
        "takes the former where there is one."
    )
    cpus: float = option("Cores that a job takes.", ge=0)
    gpus: float = option("GPUs that a job takes, or the part of one, which others share.", ge=0)
    retries: int = option("How often a job is started again whose machine was lost.", ge=0)


class Ray:
    """An actor a job: it runs the job's command, and hears meanwhile that it should stop."""

    def __init__(self, config: RayConfig) -> None:
        try:
            import ray
        except ImportError:
            raise UserError("hydra/launcher=ray: the package is not installed; pip install 'attnpred[ray]'") from None
        self.ray, self.config = ray, config
        self.running: dict[Any, tuple[Job, Any]] = {}  # the exit code to come → job and actor
        self.stopping = False
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
        self.errand = ray.remote(Errand).options(
            num_cpus=config.cpus,
            num_gpus=config.gpus,
            max_restarts=config.retries,
            max_task_retries=-1,  # a machine that is being lost takes several tries; restarts are what counts
            max_concurrency=2,
        )

    def start(self, job: Job, command: list[str], directory: str) -> None:
        actor = self.errand.remote(command, directory, job.directory)
        self.running[actor.run.remote()] = (job, actor)

    def finished(self, timeout: float) -> list[tuple[Job, int]]:
        if self.stopping:
            self.stopping = False
            return self._tell_to_stop()
        ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=timeout)
        return [(self.running.pop(code)[0], self._code(code)) for code in ready]

    def stop(self) -> None:
        """Noted alone: this may be called within a call of Ray's."""
        self.stopping = True

    def _tell_to_stop(self) -> list[tuple[Job, int]]:
        """Jobs that nobody has begun yet are taken back."""
        answers = {actor.stop.remote(): code for code, (_, actor) in self.running.items()}
        if not answers:
            return []
        _, silent = self.ray.wait(list(answers), num_returns=len(answers), timeout=ANSWERS)
        ended = []
        for code in map(answers.__getitem__, silent):
            job, actor = self.running.pop(code)
            self.ray.kill(actor)
            ended.append((job, -signal.SIGTERM))
        return ended

    def _code(self, code: Any) -> int:
        try:
            return int(self.ray.get(code))
        except self.ray.exceptions.RayActorError:
            return LOST

    def close(self) -> None:
        self.ray.shutdown()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
