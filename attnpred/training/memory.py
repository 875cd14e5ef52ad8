"""How much memory a run will take, told before it begins: its largest step is gone through without numbers.

`FakeTensorMode` works out every operator's result, its shape, format and device, and computes none. What these take at
each moment is counted: activations, gradients, the optimizer's state, copies, whatever the model and optimizer are.
"""

import copy
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily

from attnpred.config.options import Config
from attnpred.contracts import Batch
from attnpred.data.base import Loader
from attnpred.errors import OutOfMemory
from attnpred.machine.device import Chosen
from attnpred.models import size
from attnpred.models.views import answered
from attnpred.runs import checkpoint_files
from attnpred.training import optimizers
from attnpred.training.callbacks.monitor import memory_gib
from attnpred.training.learner import SMALLER, Learner, described
from attnpred.training.live import Live

SMALL = (2, 4)  # examples that are gone through with numbers, where it can't be done without
READ_AHEAD = 2**16  # bytes of a file that come into memory with any one of them
STATM = Path("/proc/self/statm")
ROUGHLY = 1.2  # how far an estimate may be off, as docs/memory.md shows
KERNELS = 1.2  # what a CPU's kernels, and holes they leave, take of the heap, beside the tensors' share
LIBRARIES = {"cpu": 110 * 2**20, "cuda": 64 * 2**20}  # what is taken once, when work begins


@dataclass(frozen=True)
class Estimate:
    """Bytes, of one process."""

    held: int  # by the process already; on a GPU nothing
    weights: int  # on a GPU; on a CPU they are held already
    work: int  # most that is taken at once beside them: activations, gradients, the optimizer's state, copies
    libraries: int
    data: int  # of the prepared splits' files that come into memory as they are read, and can leave it
    before: int  # most that was held so far

    @property
    def needed(self) -> int:
        """The bytes that must be there."""
        return self.held + self.weights + self.work + self.libraries

    @property
    def peak(self) -> int:
        return max(self.needed + self.data, self.before)

    def described(self) -> str:
        return f"about {self.peak / size.GIB:,.1f} GiB"

    def as_dict(self) -> dict[str, float]:
        return {f"{name}_gib": value / size.GIB for name, value in {**asdict(self), "peak": self.peak}.items()}


def check(expected: Estimate, chosen: Chosen, batch: Batch) -> None:
    """Refuses what cannot fit, as training does with what did not: with a remedy, or with smaller batches."""
    if chosen.device_type == "cuda":
        there = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    else:
        there = size.memory() // chosen.devices  # which share the machine's
    if expected.needed > ROUGHLY * there:
        raise OutOfMemory(
            f"training needs about {expected.needed / size.GIB:,.1f} GiB of memory, "
            f"{'a device' if chosen.devices > 1 else 'this machine'} has {there / size.GIB:,.1f} GiB, "
            f"with a batch of {described(batch)}",
            0,
            SMALLER,
        )


def estimate(
    config: Config, chosen: Chosen, data: Any, learner: Learner, loaders: Mapping[str, Loader]
) -> Estimate | None:
    """Of training and evaluation on one device; changes nothing of the learner, and draws no random number.

    What changes batches is left out: it may be anybody's, and remember that it was called. None where nothing can be
    told: of a model that is spread over devices, on other kinds of device, and of a step that fails.
    """
    device = chosen.device_type
    if chosen.strategy == "fsdp" or device not in LIBRARIES:
        return None
    train, val = loaders["train"], loaders["val"]
    batch, evaluated = train.largest(), val.largest()
    work = worked(config, chosen, learner, batch, evaluated)
    if work is None:
        return None
    if device == "cuda":
        weights = sum(tensor.nbytes for tensor in _tensors(learner))
        return Estimate(held=0, weights=weights, work=work, libraries=LIBRARIES[device], data=0, before=0)
    examples = _steps(config, train) * len(batch) + 2 * len(val) * len(evaluated)
    return Estimate(
        held=resident(),  # with what it took to find out
        weights=0,
        work=int(work * KERNELS),
        libraries=LIBRARIES[device],
        data=min(data.size(), examples * READ_AHEAD),
        before=int(memory_gib() * size.GIB),
    )


def worked(config: Config, chosen: Chosen, learner: Learner, batch: Batch, evaluated: Batch) -> int | None:
    """Bytes that tensors take at once, at most, beside the weights; None where a step fails, which training will tell.

    A model that wants to see numbers is shown a few examples; more are taken to need more in proportion.
    """
    with isolate_rng():
        with suppress(Exception), _quietly(), FakeTensorMode(allow_non_fake_inputs=True):
            return max(_lived(config, chosen, learner, batch, evaluated))
        with suppress(Exception):
            few, more = (min(count, len(batch), len(evaluated)) for count in SMALL)
            one, other = (_lived(config, chosen, learner, _first(batch, n), _first(evaluated, n)) for n in (few, more))
            share = (len(batch) - few) / max(more - few, 1)
            return int(max(a + (b - a) * share for a, b in zip(one, other, strict=False)))
    return None


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the log of what could not be gone through without numbers."""
    log = logging.getLogger(FakeTensorMode.__module__)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _lived(config: Config, chosen: Chosen, learner: Learner, batch: Batch, evaluated: Batch) -> list[int]:
    """Bytes taken after each operator of an optimizer step, a validation and the reading of what was kept."""
    device, single = chosen.device_type, chosen.world == 1
    batch, evaluated = batch.to(device), evaluated.to(device)
    trained = _copied(learner, chosen)
    with Live(_tensors(trained)) as live:
        optimizer = optimizers.make(trained.model, config.optimizer, fused=chosen.precision != "16-mixed")
        given = [p for p in trained.model.parameters() if p.requires_grad]
        for p in given:  # a step finds the gradients of the one before, and the state that they left
            p.grad = torch.empty_like(p)
        optimizer.step()
        averaged = trained.model.state_dict().values() if config.optimizer.ema is not None else ()
        average = [torch.empty_like(t) for t in averaged]
        exchanged = [] if single else [torch.empty_like(p) for p in given]
        for turn in range(min(config.trainer.accumulate, 2)):
            with chosen.autocast():
                loss = trained.step(batch)
            if turn == 0:  # as late as Lightning does
                for table in trained.embeddings if single else ():
                    table.reclaim()
                optimizer.zero_grad()
            loss.backward()
            del loss
        optimizer.step()
        trained.eval()
        with torch.no_grad(), chosen.autocast():
            answered(trained.model, evaluated, mirror=trained.mirror)
        if device == "cpu":  # a checkpoint is read into the host's memory, whole, before it is taken over
            saved = [*trained.model.state_dict().values(), *checkpoint_files.tensors(optimizer.state_dict()), *average]
            read = [torch.empty_like(t) for t in saved]
            del read
        del exchanged
    return live.heap if device == "cpu" else live.bytes  # a GPU's allocator counts what is alive


def _copied(learner: Learner, chosen: Chosen) -> Learner:
    """A learner in training mode, whose weights are of the shapes, on the device and in the format of training."""
    half = {"bf16-true": torch.bfloat16, "16-true": torch.float16}.get(chosen.precision)
    made: dict[int, Any] = {}
    for tensor in _tensors(learner):
        dtype = half if half is not None and tensor.is_floating_point() else tensor.dtype
        new = torch.empty_like(tensor.detach(), device=chosen.device_type, dtype=dtype)
        if not isinstance(new, FakeTensor):
            new.copy_(tensor.detach())
        made[id(tensor)] = nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new
    with unset_fake_temporarily():  # the rest, which no one counts, is copied as it is
        return copy.deepcopy(learner, made).train()


def _tensors(learner: Learner) -> list[Tensor]:
    return [*learner.parameters(), *learner.buffers()]


def _first(batch: Batch, count: int) -> Batch:
    return batch.rows(torch.arange(count))


def _steps(config: Config, train: Loader) -> int:
    """Batches of training in the whole run."""
    options = config.trainer
    an_epoch = min(len(train), options.limit_batches or len(train))
    most = (options.max_steps or sys.maxsize) * options.accumulate
    return min(an_epoch * options.max_epochs, most)


def resident() -> int:
    """Bytes of memory that this process holds now, or has held where that alone can be told."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return int(memory_gib() * size.GIB)
