"""Which device, how many, and in which number format: chosen by what the machine does well, with the reason said."""

import os
from dataclasses import dataclass

import torch

from attnpred.config.options import TrainerConfig
from attnpred.errors import UserError
from attnpred.machine.ranks import Crew

LEAST_CPU = 2  # processes that may share a CPU of a single core, to try several out
BF16_UNITS = ("amx_bf16", "avx512_bf16")  # a CPU's, as torch names them
HELD = "ONEDNN_MAX_CPU_ISA"  # by which oneDNN is told to use no newer instructions
WITHOUT_BF16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")


@dataclass(frozen=True)
class Chosen:
    accelerator: str  # cpu, gpu or mps
    devices: int
    strategy: str  # auto, ddp or fsdp
    precision: str
    reason: str
    nodes: int = 1

    @property
    def world(self) -> int:
        """Processes on all machines."""
        return self.devices * self.nodes

    @property
    def device_type(self) -> str:
        return {"gpu": "cuda"}.get(self.accelerator, self.accelerator)

    def autocast(self) -> torch.autocast:
        """The same number format outside the trainer, for single forward passes."""
        half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(self.precision)
        return torch.autocast(self.device_type, dtype=half or torch.bfloat16, enabled=half is not None)


def choose(options: TrainerConfig, crew: Crew | None = None) -> Chosen:
    """Settles every `auto`; raises UserError for a device that is not there.

    `crew`: the processes that were started to train together.
    """
    accelerator, why = _accelerator(options.accelerator)
    available = {"gpu": torch.cuda.device_count(), "mps": 1, "cpu": os.cpu_count() or 1}[accelerator]
    devices = options.devices
    if devices == "auto":
        devices = available if accelerator == "gpu" else 1
        devices = crew.devices if crew else devices
    nodes = crew.nodes if crew else 1
    if crew and (devices, options.nodes) != (crew.devices, nodes):
        raise UserError(
            f"trainer.devices={options.devices} trainer.nodes={options.nodes}: {crew.starter} started {crew.devices} "
            f"processes on each of {nodes} machines; set trainer.devices={crew.devices} trainer.nodes={nodes}"
        )
    if accelerator != "cpu" and devices > available:
        raise UserError(
            f"trainer.devices={devices}: this machine has {available} {accelerator}; ask for {available} or fewer"
        )
    most = max(LEAST_CPU, available)
    if accelerator == "cpu" and crew is None and devices > most:
        raise UserError(
            f"trainer.devices={devices}: each would be a process of its own, and this machine has {available} cores; "
            f"ask for {most} or fewer"
        )
    strategy = options.strategy
    if devices * nodes == 1 and strategy == "ddp":
        strategy = "auto"
    if devices * nodes > 1 and strategy == "auto":
        strategy = "ddp"
    precision, reason = _precision(options.precision, accelerator)
    each = f" on each of {nodes} machines" if nodes > 1 else ""
    reason = f"{devices} × {accelerator}{each} ({why}), {precision} ({reason})"
    return Chosen(accelerator, devices, strategy, precision, reason, nodes)


def _accelerator(asked: str) -> tuple[str, str]:
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked != "auto":
        if not there[asked]:
            raise UserError(
                f"trainer.accelerator={asked}: none is visible on this machine; use trainer=cpu or trainer=auto"
            )
        return asked, "as asked"
    best = next(kind for kind, present in there.items() if present)
    return best, "the fastest there is" if best != "cpu" else "no GPU is visible"


def _precision(asked: str, accelerator: str) -> tuple[str, str]:
    if asked != "auto":
        return asked, "as asked"
    if accelerator == "cpu":
        unit = bf16_unit("cpu")
        return (
            ("bf16-mixed", f"this CPU multiplies in bf16: {unit}") if unit else ("32-true", "this CPU has no bf16 unit")
        )
    if accelerator == "gpu":
        if bf16_unit("cuda"):
            return "bf16-mixed", "this GPU multiplies in bf16"
        return "16-mixed", "this GPU has no bf16, but float16"
    return "32-true", "mixed precision is not dependable on mps"


def number_format(x: torch.Tensor) -> torch.dtype:
    """In which autocast, where it is on, would multiply."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def bf16_unit(device_type: str) -> str | None:
    """What multiplies in bf16 on cpu, cuda or mps; None where that is emulated, many times slower than float32."""
    if device_type == "cpu":
        if os.environ.get(HELD, "").upper() in WITHOUT_BF16:
            return None
        able = torch.cpu.get_capabilities()
        return next((unit for unit in BF16_UNITS if able.get(unit)), None)
    if device_type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "tensor cores"
    return None
