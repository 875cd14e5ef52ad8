"""The processes that train one run together where torchrun or SLURM started them, on one machine or on several.

All were given the same command. The first one leads: it alone reads it, makes the run directory, or finds it again, and
tells the others where that lies. They read their config there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import Interrupted, Theirs, UserError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments import ClusterEnvironment
    from pytorch_lightning import Trainer

BY_HAND = ("bash", "interactive")  # names of SLURM's jobs in which a person types commands
RUN, END = "run ", "end "  # what the first says: where the run lies, or with which exit code it ended without one
PAUSE = 0.2  # seconds between two looks at the store
PATIENCE = 10.0  # seconds in which the others hear of an end


@dataclass(frozen=True)
class Crew:
    """Where this process stands among those that were started with it."""

    rank: int
    world: int
    devices: int  # processes on this machine
    starter: str

    @property
    def nodes(self) -> int:
        return self.world // self.devices


def crew() -> Crew | None:
    """None where this process was started alone."""
    known = os.environ
    if "TORCHELASTIC_RUN_ID" in known:
        found = Crew(int(known["RANK"]), int(known["WORLD_SIZE"]), int(known["LOCAL_WORLD_SIZE"]), "torchrun")
    # a batch script's own process knows how many tasks there will be, but only srun starts them
    elif "SLURM_STEP_NUM_TASKS" in known and known.get("SLURM_JOB_NAME") not in BY_HAND:
        world, nodes = int(known["SLURM_STEP_NUM_TASKS"]), int(known.get("SLURM_STEP_NUM_NODES", 1))
        found = Crew(int(known["SLURM_PROCID"]), world, world // nodes, "srun")
    else:
        return None
    return found if found.world > 1 else None


def environment() -> ClusterEnvironment:
    """What Lightning asks for ranks and addresses.

    A run that was started alone inside a job of SLURM's is no part of it; and Lightning does not put jobs back into the
    queue whenever the signal comes, in the midst of a step: callbacks/signals.py has it do so between two.
    """
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

    own = crew()
    if own is not None and own.starter == "srun":
        if "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise UserError("srun: was not told how many processes a machine gets; give it --ntasks-per-node")
        return SLURMEnvironment(auto_requeue=False)
    return TorchElasticEnvironment() if TorchElasticEnvironment.detect() else LightningEnvironment()


class Lead:
    """How the first process tells the others, by the store at which their process group will meet too."""

    def __init__(self, own: Crew) -> None:
        from torch.distributed import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        meeting = environment()
        address = f"tcp://{meeting.main_address}:{meeting.main_port}"
        store, _, _ = next(rendezvous(address, own.rank, own.world))
        self._store = PrefixStore("attnpred", store)
        self._others = own.world - 1

    def tell(self, directory: Path) -> None:
        """Says where the run lies."""
        self._store.set("said", f"{RUN}{directory.resolve()}")

    def end(self, code: int) -> None:
        """Says that there is no run to train; without effect where there is one. The store ends with this process."""
        said = f"{END}{code}".encode()
        deadline = time.monotonic() + PATIENCE
        with suppress(RuntimeError):  # the others may have left already
            if self._store.compare_set("said", "", said.decode()) == said:
                while self._store.add("heard", 0) < self._others and time.monotonic() < deadline:
                    time.sleep(PAUSE)

    def heard(self) -> str:
        """The run directory; leaves where the first process does."""
        while not self._store.check(["said"]):
            time.sleep(PAUSE)  # signals are heard meanwhile, as they would not be inside the store
        said = self._store.get("said").decode()
        self._store.add("heard", 1)
        if said.startswith(END):
            sys.exit(int(said.removeprefix(END)))
        return said.removeprefix(RUN)


def together(work: Callable[[Lead | None], Path], join: Callable[[str], None]) -> int:
    """Where this process is the first, or alone, does the work and prints the run directory that it returns.

    The others `join`, which is given the run directory.
    """
    own = crew()
    if own is None:
        return _done(work(None))
    lead = Lead(own)
    try:
        if own.rank == 0:
            directory = work(lead)
            lead.end(0)
            return _done(directory)
        join(lead.heard())
        return 0
    except Interrupted as error:
        if own.rank == 0:
            say(str(error))
            lead.end(error.exit_code)
        leave(error)
    except BaseException as error:
        if own.rank == 0:
            unexpected = 130 if isinstance(error, KeyboardInterrupt) else 1
            lead.end(error.exit_code if isinstance(error, UserError | Theirs) else unexpected)
        raise


def _done(directory: Path) -> int:
    sys.stderr.flush()
    stdout.write(str(directory))
    return 0


def leave(error: Interrupted) -> NoReturn:
    """Ends this process without waiting for ranks that leave in their own time."""
    sys.stderr.flush()
    os._exit(error.exit_code)


def of_each(trainer: Trainer, value: Any) -> list[Any]:
    """What every rank holds, in their order, on every rank."""
    values = [value]
    if trainer.world_size > 1:
        import torch

        values = [None] * trainer.world_size
        torch.distributed.all_gather_object(values, value)
    return values
