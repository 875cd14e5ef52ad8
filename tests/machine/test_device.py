"""Device and precision: chosen by what the machine can do, refused where it cannot."""

from dataclasses import replace

import pytest
import torch

from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.machine import device


def options(**values):
    return replace(compose.compose([]).trainer, **values)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    ("capabilities", "precision", "word"),
    [
        ({"amx_bf16": True}, "bf16-mixed", "amx_bf16"),
        ({"avx512_bf16": True}, "bf16-mixed", "avx512_bf16"),
        ({"avx512_f": True}, "32-true", "no bf16"),
    ],
)
def test_cpu_takes_bf16_where_it_multiplies_in_it(no_gpu, monkeypatch, capabilities, precision, word):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    chosen = device.choose(options())
    assert (chosen.accelerator, chosen.devices, chosen.strategy, chosen.precision) == ("cpu", 1, "auto", precision)
    assert word in chosen.reason


@pytest.mark.parametrize(("held", "precision"), [("AVX2", "32-true"), ("AVX512_CORE_AMX", "bf16-mixed")])
def test_instructions_that_onednn_may_not_use_are_none_of_the_cpus(no_gpu, monkeypatch, held, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setenv(device.HELD, held)
    assert device.choose(options()).precision == precision


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_every_gpu_is_taken_in_its_best_format(two_gpus, monkeypatch, native, precision):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    chosen = device.choose(options())
    assert (chosen.accelerator, chosen.devices, chosen.strategy, chosen.precision) == ("gpu", 2, "ddp", precision)


def test_what_is_asked_for_overrules(two_gpus):
    chosen = device.choose(options(accelerator="gpu", devices=1, strategy="ddp", precision="32-true"))
    assert (chosen.devices, chosen.strategy, chosen.precision) == (1, "auto", "32-true")
    assert not chosen.autocast().__dict__.get("_enabled", True)


def test_absent_devices_are_refused_with_the_remedy(no_gpu):
    with pytest.raises(UserError, match=r"trainer.accelerator=gpu: none is visible .* trainer=cpu"):
        device.choose(options(accelerator="gpu"))


def test_too_many_devices_are_refused(two_gpus):
    with pytest.raises(UserError, match=r"trainer.devices=3: this machine has 2 gpu"):
        device.choose(options(accelerator="gpu", devices=3))


def test_autocast_follows_the_precision(no_gpu):
    weights, inputs = torch.ones(2, 2), torch.ones(2, 2)
    for precision, dtype in (("bf16-mixed", torch.bfloat16), ("32-true", torch.float32)):
        with device.choose(options(precision=precision)).autocast():
            assert (weights @ inputs).dtype == dtype


@pytest.mark.parametrize(("cores", "most"), [(1, 2), (2, 2), (8, 8), (None, 2)])
def test_a_cpu_gets_no_more_processes_than_cores(no_gpu, monkeypatch, cores, most):
    """But two, so that several can be tried out anywhere."""
    monkeypatch.setattr(device.os, "cpu_count", lambda: cores)
    assert device.choose(options(accelerator="cpu", devices=most)).devices == most
    with pytest.raises(UserError, match=rf"trainer.devices={most + 1}: .* ask for {most} or fewer"):
        device.choose(options(accelerator="cpu", devices=most + 1))
