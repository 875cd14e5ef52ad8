"""What measurements were made on."""

import os
import platform


def machine() -> str:
    import torch

    from attnpred.machine.device import BF16_UNITS, HELD

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    able = torch.cpu.get_capabilities()
    units = ", ".join(unit for unit in BF16_UNITS if able.get(unit)) or "no bf16"
    if os.environ.get(HELD):
        units = f"held to {os.environ[HELD]}"
    name = able.get("cpu_name", platform.processor())
    return f"{name}, {os.cpu_count()} cores ({units}), torch {torch.__version__}"
