"""What measurements were made on."""

import os
import platform


def machine() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    able = torch.cpu.get_capabilities()
    units = ", ".join(u for u in ("amx_bf16", "avx512_bf16") if able.get(u)) or "no bf16"
    name = able.get("cpu_name", platform.processor())
    return f"{name}, {os.cpu_count()} cores ({units}), torch {torch.__version__}"
