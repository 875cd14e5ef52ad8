"""The model of communication: what it says at its ends, and that a line gives back what it was drawn by."""

import pytest

from scripts.bench import communication
from scripts.bench.communication import Network, Step, exchange, limit, speed, waited
from scripts.bench.growth_exchange import SIZES, line_through

FAST, SLOW = Network("fast", 1e-6, 1e11), Network("slow", 1e-6, 1e7)
LATE = Network("late", 1e-2, 1e11)
STEP = Step(seconds=0.1, backward_seconds=0.06, gradient_bytes=2.4e7, bucket_bytes=4e6)


def test_two_devices_carry_half_of_an_array_twice():
    assert exchange(1e6, 2, Network("", 1e-3, 1e6)) == pytest.approx(2 * (1e-3 + 0.5))
    assert exchange(1e6, 1, SLOW) == 0


def test_only_the_last_bucket_is_waited_for_where_the_step_back_covers_the_others():
    assert STEP.buckets == 6
    assert waited(STEP, 4, FAST) == pytest.approx(exchange(4e6, 4, FAST))
    assert waited(STEP, 4, SLOW) == pytest.approx(6 * exchange(4e6, 4, SLOW) - 0.05)


@pytest.mark.parametrize("network", [FAST, SLOW, LATE])
def test_speed_is_never_more_than_ideal_and_efficiency_falls_with_devices(network):
    assert speed(STEP, 1, network) == 1
    efficiency = [speed(STEP, devices, network) / devices for devices in communication.DEVICES]
    assert efficiency == sorted(efficiency, reverse=True)


def test_what_limits_is_what_would_help():
    assert limit(STEP, 64, SLOW) == "the rate of the network"
    assert limit(STEP, 64, LATE) == "the latency of hops"


def test_a_line_through_exact_times_gives_latency_and_rate_back():
    found = line_through(SIZES, [2 * 5e-5 + size / 2e9 for size in SIZES])
    assert found["hop_seconds"] == pytest.approx(5e-5)
    assert found["exchange_rate"] == pytest.approx(2e9)
