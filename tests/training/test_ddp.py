"""Gradients are exchanged in several buckets, the first of them while the step back goes on; counted, not timed."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from attnpred.machine.device import Chosen
from attnpred.training import ddp
from attnpred.training.ddp import LEAST, MOST, PARTS, bucket_bytes

WIDTH, LAYERS = 512, 8  # a MiB of gradients a layer


@pytest.fixture
def alone(tmp_path):
    """A group of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def layers():
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)))


@pytest.mark.parametrize(
    ("entries", "expected"), [(10, LEAST), (2**22, 2**24 // PARTS), (2**28, MOST)], ids=["small", "middle", "large"]
)
def test_a_bucket_is_a_part_of_the_gradients_within_bounds(entries, expected):
    with torch.device("meta"):
        assert bucket_bytes(nn.Embedding(entries, 1)) == expected
    frozen = nn.Linear(2**14, 2**10, device="meta").requires_grad_(False)
    assert bucket_bytes(frozen) == LEAST


@pytest.mark.parametrize(("given", "buckets"), [(None, PARTS), (MOST, 2)], ids=["ours", "torch's"])
def test_most_buckets_leave_before_the_step_back_has_ended(given, buckets, alone):
    model = layers()
    together = DistributedDataParallel(model, bucket_cap_mb=(given or bucket_bytes(model)) / 2**20)
    happened: list[str] = []

    def exchange(state: object, bucket: torch.distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
        happened.append("exchange")
        future: torch.futures.Future[torch.Tensor] = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    together.register_comm_hook(None, exchange)
    together(torch.ones(2, WIDTH)).sum().backward()  # buckets are parted anew after it
    happened.clear()
    model[0].weight.register_hook(lambda gradient: happened.append("last gradient"))
    together(torch.ones(2, WIDTH)).sum().backward()
    count = happened.count("exchange")
    assert abs(count - buckets) <= 2
    assert happened.index("last gradient") == count - 1  # only the last one's bucket waits for it


def test_only_ddp_has_buckets():
    with torch.device("meta"):
        model = layers()
    chosen = [Chosen("cpu", 2, name, "32-true", "") for name in ("auto", "fsdp", "ddp")]
    assert [ddp.strategy(one, model) for one in chosen[:2]] == ["auto", "fsdp"]
    assert ddp.strategy(chosen[2], model)._ddp_kwargs == {"bucket_cap_mb": bucket_bytes(model) / 2**20}
