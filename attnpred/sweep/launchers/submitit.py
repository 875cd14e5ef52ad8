"""Jobs in the queue of a SLURM cluster, by submitit; for a try also on this machine, by the same road."""

import secrets
import signal
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from attnpred.config.options import LauncherConfig
from attnpred.config.schema import option
from attnpred.errors import NotInstalled, UserError
from attnpred.machine import processes
from attnpred.sweep.errand import LOST, Errand, note
from attnpred.sweep.job import Job

FOLDER = "submitit"  # in the job's directory: batch script and logs, and what submitit pickles while the job runs
PAUSE = 0.2  # seconds between two looks at what has ended
SAVING = 90  # seconds before its time is up in which a job saves


@dataclass(kw_only=True)
class SubmititConfig(LauncherConfig):
    cluster: Literal["slurm", "local"] = option("Where the jobs run: in SLURM's queue, or on this machine.")
    minutes: int = option("Time limit of a job; one that needs longer saves, and is queued again.", ge=1)
    cpus: int = option("Cores that a job takes.", ge=1)
    gpus: int = option("GPUs that a job takes.", ge=0)
    memory_gib: float | None = option("Memory that a job takes; null leaves it to the cluster.", gt=0)
    partition: str | None = option("Partition that the jobs are queued in; null leaves it to the cluster.")
    account: str | None = option("Account that they are charged to; null leaves it to the cluster.")
    setup: list[str] = option("Lines of shell that a job begins with, such as `module load cuda`.")
    sbatch: dict[str, Any] = option("Further options of sbatch, by name.")
    retries: int = option("How often a job is queued again that ran out of time or whose machine was lost.", ge=0)


@dataclass
class Queued:
    job: Job
    errand: Errand
    handle: Any  # submitit's
    losses: int = field(default=0)


class Submitit:
    def __init__(self, config: SubmititConfig) -> None:
        try:
            import submitit
        except ImportError:
            raise NotInstalled("hydra/launcher=submitit_slurm", "submitit", "slurm") from None
        if config.cluster == "slurm" and submitit.SlurmExecutor.affinity() < 0:
            raise UserError(
                "hydra/launcher=submitit_slurm: this machine has no srun; use one of the cluster's, or "
                "hydra/launcher=submitit_local"
            )
        self.submitit, self.config = submitit, config
        self.queued: list[Queued] = []
        self.stopping = False

    def start(self, job: Job, command: list[str], directory: str) -> None:
        # submitit's own processes on this machine would outlive us; SLURM's are SLURM's
        parent = processes.Known.this() if self.config.cluster == "local" else None
        errand = Errand(command, directory, job.directory, parent)
        self.queued.append(Queued(job, errand, self._submit(job, errand)))

    def _submit(self, job: Job, errand: Errand) -> Any:
        config = self.config
        executor = self.submitit.AutoExecutor(
            # pickles are read from there: of a name that nobody who made the directory could know
            job.directory / FOLDER / secrets.token_hex(8),
            cluster=config.cluster,
            slurm_max_num_timeout=config.retries,
        )
        memory = {} if config.memory_gib is None else {"mem_gb": config.memory_gib}
        places = {f"slurm_{name}": value for name in ("partition", "account") if (value := getattr(config, name))}
        executor.update_parameters(
            name=f"attnpred-{job.number}",
            timeout_min=config.minutes,
            cpus_per_task=config.cpus,
            gpus_per_node=config.gpus,
            stderr_to_stdout=True,
            slurm_signal_delay_s=SAVING,
            slurm_setup=config.setup,
            slurm_additional_parameters=config.sbatch,
            **memory,
            **places,
        )
        return executor.submit(errand)

    def finished(self, timeout: float) -> list[tuple[Job, int]]:
        deadline = time.monotonic() + timeout
        while True:
            over = [queued for queued in self.queued if queued.handle.done(force_check=self.stopping)]
            ended = [(queued.job, code) for queued in over if (code := self._code(queued)) is not None]
            if ended or time.monotonic() >= deadline:
                break
            time.sleep(PAUSE)
        self.queued = [queued for queued in self.queued if all(queued.job is not job for job, _ in ended)]
        for job, _ in ended:
            for file in (job.directory / FOLDER).glob("*/*.pkl"):  # they hold the command, secrets included
                file.unlink(missing_ok=True)
        return ended

    def _code(self, queued: Queued) -> int | None:
        """How a job ended; None where it was lost, and is queued again."""
        if self.stopping and not queued.handle.paths.result_pickle.exists():
            return -signal.SIGTERM  # never begun, or gone without a word, for which submitit would wait
        try:
            return int(queued.handle.result())
        except self.submitit.core.utils.FailedJobError as error:  # before the job's command could begin
            note(queued.job, error)
            return 1
        except self.submitit.core.utils.UncompletedJobError:
            if queued.losses == self.config.retries:
                return LOST
        queued.losses += 1
        queued.handle = self._submit(queued.job, queued.errand)
        return None

    def stop(self) -> None:
        self.stopping = True
        for queued in self.queued:
            queued.handle.cancel(check=False)

    def close(self) -> None:
        self.stop()
