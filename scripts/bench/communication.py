"""How training would scale from 1 to 1,024 devices: what was measured of a step and of an exchange, put together.

Devices stand in a ring. Each of its 2 × (devices - 1) hops takes a time of its own and carries a part of the gradients.
Buckets leave while the step back goes on; the last one waits for its end.
"""

from dataclasses import dataclass

from scripts.bench.growth_data import Curve, Point
from scripts.bench.results import number

DEVICES = (1, 2, 4, 8, 16, 64, 256, 1024)
FLOAT_BYTES = 4
CLEAR = 0.5  # of the time that is lost, above which one cause is said to limit


@dataclass(frozen=True)
class Network:
    name: str
    hop_seconds: float
    rate: float  # bytes a second, each way


@dataclass(frozen=True)
class Step:
    seconds: float
    backward_seconds: float
    gradient_bytes: float
    bucket_bytes: float

    @property
    def buckets(self) -> int:
        return max(1, round(self.gradient_bytes / self.bucket_bytes))


# Assumed, to stand beside what was measured
NETWORKS = (Network("25 Gbit/s, 30 µs a hop", 30e-6, 25e9 / 8), Network("400 Gbit/s, 5 µs a hop", 5e-6, 400e9 / 8))


def exchange(size: float, devices: int, network: Network) -> float:
    """Seconds in which all devices have the sum of arrays of `size` bytes."""
    hops = 2 * (devices - 1)
    return hops * (network.hop_seconds + size / devices / network.rate)


def waited(step: Step, devices: int, network: Network) -> float:
    """Seconds of a step that devices wait for gradients, beyond what the step back covers."""
    each = exchange(step.gradient_bytes / step.buckets, devices, network)
    covered = step.backward_seconds * (step.buckets - 1) / step.buckets  # from the first bucket's start on
    return max(each, each * step.buckets - covered)


def speed(step: Step, devices: int, network: Network) -> float:
    """How many times as many examples a second as one device trains, each with batches of the same size."""
    wait = waited(step, devices, network) if devices > 1 else 0.0
    return devices * step.seconds / (step.seconds + wait)


def limit(step: Step, devices: int, network: Network) -> str:
    """The cause of most of the waiting."""
    still = Network(network.name, 0.0, network.rate)
    whole = waited(step, devices, network)
    by_size = waited(step, devices, still) / whole
    return "the rate of the network" if by_size > CLEAR else "the latency of hops"


def step_of(point: Point) -> Step:
    return Step(
        point.value("seconds"),
        point.value("backward_seconds"),
        FLOAT_BYTES * point.value("parameters"),
        point.value("bucket_bytes"),
    )


def networks(point: Point) -> list[Network]:
    rate = point.value("exchange_rate")
    own = f"this machine's gloo, {number(rate * 8 / 1e9)} Gbit/s, {number(1e6 * point.value('hop_seconds'))} µs a hop"
    return [Network(own, point.value("hop_seconds"), rate), *NETWORKS]


def section(curve: Curve) -> list[str]:
    """Tables and what follows from them, a table each model."""
    said = [
        "Two processes on this machine measured an exchange by gloo, and one process a step. The rest is a model: a",
        "ring of devices, each with batches of the same size. Gradients travel in buckets while the step back goes on;",
        "the last bucket is waited for. The two faster networks are assumed.",
    ]
    for point in curve.points:
        step, at = step_of(point), point.at
        found = networks(point)
        said += [
            "",
            f"`{at['model']}`, batches of {at['batch']} a device: {number(1e3 * step.seconds)} ms a step, of which "
            f"{number(1e3 * step.backward_seconds)} ms back; {number(step.gradient_bytes / 2**20)} MiB of gradients in "
            f"{step.buckets} buckets. Times as many examples a second as one device, and the share of what is ideal:",
            "",
            f"| devices | {' | '.join(network.name for network in found)} |",
            "|---" * (1 + len(found)) + "|",
        ]
        for devices in DEVICES:
            speeds = [speed(step, devices, network) for network in found]
            cells = [f"{number(one)} ({one / devices:.0%})" for one in speeds]
            said.append(f"| {devices:,} | {' | '.join(cells)} |")
        most = DEVICES[-1]
        said += ["", *(f"- {n.name}: with {most:,} devices {limit(step, most, n)} limits." for n in found)]
    return said
