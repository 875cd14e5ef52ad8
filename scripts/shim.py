"""The shim below Python (shim.c): compiled where it is used, and told which call to the system shall fail."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
KINDS = ("write", "fsync", "open", "rename", "truncate", "mkdir", "link", "unlink", "mmap")  # as in shim.c
PRELOAD = "LD_PRELOAD"


@dataclass(frozen=True)
class Fault:
    kind: str
    error: str  # a name of errno's
    nth: int
    for_good: bool  # as on a full disk, where all later calls of the kind fail too

    def __str__(self) -> str:
        since = "from" if self.for_good else "at"
        return f"{self.kind}: {self.error} {since} the {self.nth}."


def compiler() -> str | None:
    """The system's, where the shim can be used at all."""
    found = shutil.which("cc") or shutil.which("gcc")
    return found if sys.platform == "linux" else None


def build(place: Path) -> Path:
    """Compiles the shim."""
    found = compiler()
    assert found is not None, "there is no C compiler"
    library = place / "shim.so"
    subprocess.run([found, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
    return library


def arm(place: Path, fault: Fault | None) -> None:
    """From now on in this process, for files below `place`; None counts only."""
    kind = KINDS.index(fault.kind) if fault else -1
    number = getattr(errno, fault.error) if fault else 0
    own().fault_arm(
        os.fsencode(place), kind, number, fault.nth if fault else 0, int(fault is not None and fault.for_good)
    )


def disarm() -> None:
    own().fault_disarm()


def counts() -> dict[str, int]:
    """Calls of each kind since it was armed."""
    return {name: int(own().fault_count(number)) for number, name in enumerate(KINDS)}


def met() -> dict[str, list[str]]:
    """The files of all calls since it was armed to count only, in order, by kind."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for line in os.fsdecode(own().fault_met()).splitlines():
        number, _, file = line.partition(" ")
        found[KINDS[int(number)]].append(file)
    return found


def struck() -> tuple[int, str]:
    """How many calls it had fail, and the first file of these."""
    return int(own().fault_hits()), os.fsdecode(own().fault_hit())


def own() -> ctypes.CDLL:
    """The library that this process was started with."""
    found = ctypes.CDLL(None)
    found.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_int]
    found.fault_hit.restype = found.fault_met.restype = ctypes.c_char_p
    found.fault_count.restype = found.fault_hits.restype = ctypes.c_long
    return found
