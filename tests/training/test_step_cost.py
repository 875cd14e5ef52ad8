"""What a step costs, by what can be counted: waits for the device, masks, and copies of the embedding's size."""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attnpred.config import compose
from attnpred.models.embedding import Embedding
from attnpred.training.train import launch
from tests.models.made import LENGTH, TEXT, make_model, text_batch

SMALL = ["model=transformer", "model.width=8", "model.depth=1", "model.heads=2", "trainer=cpu", "logger=none"]


class Calls(TorchDispatchMode):
    """Operators called, with the shapes of what they returned."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        shape = tuple(result.shape) if isinstance(result, torch.Tensor) else None
        self.seen.append((func.overloadpacket, shape, getattr(result, "dtype", None)))
        return result

    def count(self, operator):
        return sum(name is operator for name, _, _ in self.seen)


def syncs(directory, steps, log_every=1000):
    overrides = [*SMALL, "data=digits", f"trainer.max_steps={steps}", f"trainer.log_every_steps={log_every}"]
    overrides += [f"output_dir={directory}", f"data.cache_dir={directory}/cache", "data.batch_size=8"]
    overrides += ["trainer.validate_every_steps=100000", "data.val_fraction=0.01", "data.test_fraction=0.01"]
    with Calls() as calls:
        launch(compose.compose(overrides), overrides)
    return calls.count(torch.ops.aten._local_scalar_dense)


def test_no_step_waits_for_the_device(tmp_path):
    assert syncs(tmp_path, 30) == syncs(tmp_path, 10)


def test_a_point_of_the_curves_waits_once(tmp_path, monkeypatch):
    real, lists = torch.Tensor.tolist, []
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: (lists.append(1), real(self))[1])
    counts = []
    for steps in (10, 30):
        lists.clear()
        counts.append((syncs(tmp_path, steps, log_every=1), len(lists)))
    assert counts[1][0] == counts[0][0]
    assert counts[1][1] - counts[0][1] == 20


def trained_step(batch):
    """A step of a tiny text model, after one that has set everything up."""
    model = make_model("transformer", TEXT, positions="rotary", pooling="attention").train()
    (table,) = (module for module in model.modules() if isinstance(module, Embedding))

    def step():
        table.reclaim()
        model(batch).answer.sum().backward()

    step()
    step()
    with Calls() as calls:
        step()
    return calls.seen


def test_no_step_makes_a_tensor_of_the_vocabularys_size():
    shapes = [shape for _, shape, _ in trained_step(text_batch())]
    gradient = (TEXT.vocab_size, make_model("transformer", TEXT).config.width)
    written = (torch.ops.aten.index_fill_, torch.ops.aten.index_copy_, torch.ops.aten.detach)
    made = [name for name, shape, _ in trained_step(text_batch()) if shape == gradient and name not in written]
    assert gradient in shapes, "the gradient is written in place"
    assert not made


@pytest.mark.parametrize(("lengths", "masks"), [((LENGTH, LENGTH), False), ((LENGTH, 3), True)])
def test_a_mask_is_made_where_there_is_padding(lengths, masks):
    batch = text_batch(lengths)
    batch = batch.reading(replace(batch.input, prefix=0, suffix=0))
    made = [shape for _, shape, dtype in trained_step(batch) if dtype == torch.bool]
    assert bool(made) == masks
