"""What a service is told when it is started."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Precision = Literal["auto", "float32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "bf16", "int8")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of a service anybody may take."""

    max_batch: int = 64  # inputs that are answered together
    max_wait_ms: float = 5.0  # how long an input waits for others
    max_queue: int = 512  # inputs that wait for one model; beyond, requests are refused with 429
    max_inputs: int = 256  # of one request
    max_body_bytes: int = 8 * 2**20
    request_seconds: float = 30.0  # from the request to its answer
    slow_seconds: float = 10.0  # a client may take so long to send a request, and to take its answer
    max_connections: int = 1024
    stop_seconds: float = 30.0  # in which what was accepted is answered, once the service is told to stop


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model by its name and version, and where it lies: a run, or a folder that `attnpred export` made."""

    name: str
    version: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Options:
    served: list[Served]
    host: str = "127.0.0.1"
    port: int = 8000
    precision: Precision = "auto"
    limits: Limits = field(default_factory=Limits)
    keys: dict[str, bytes] = field(default_factory=dict, repr=False)  # a digest by the name of whom a key was given
    log: Path | None = None
    log_inputs: bool = False
