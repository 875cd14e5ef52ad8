import pytest
import torch
import torch.nn.functional as F

from attnpred.models.attention import MultiHeadAttention, Pool, attend, normalise, pass_through, rotate
from attnpred.models.positions import Positions

KEEP = torch.arange(9) < torch.tensor([9, 4, 1])[:, None]  # (batch, key)


def inputs(dtype=torch.float32):
    torch.manual_seed(0)
    return [torch.randn(3, 2, 9, 8).to(dtype).requires_grad_() for _ in range(3)]


def both(tensors, keep, scale=None):
    shared = {"keep": keep, "dropout": 0.0, "scale": scale}
    fused, nothing = attend(*tensors, need_weights=False, **shared)
    explicit, weights = attend(*tensors, need_weights=True, **shared)
    assert nothing is None
    assert weights.shape == (3, 2, 9, 9)
    assert explicit.dtype == fused.dtype
    return fused, explicit, weights


@pytest.mark.parametrize("keep", [None, KEEP, KEEP[:, None, None, :], torch.ones(9, 9).tril().bool()[None, None]])
@pytest.mark.parametrize("scale", [None, 1.0])
def test_explicit_weights_give_what_the_fused_kernel_gives(keep, scale):
    tensors = inputs()
    fused, explicit, weights = both(tensors, keep, scale)
    torch.testing.assert_close(explicit, fused)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 9))
    ours, theirs = (torch.autograd.grad(out.square().sum(), tensors) for out in (explicit, fused))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision(dtype):
    fused, explicit, weights = both(inputs(dtype), KEEP)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(explicit, fused, atol=0.02, rtol=0.02)


def test_autocast_rounds_both_alike():
    with torch.autocast("cpu", torch.bfloat16):
        fused, explicit, weights = both(inputs(), KEEP)
    assert explicit.dtype == torch.bfloat16
    assert weights.dtype == torch.float32
    torch.testing.assert_close(explicit, fused, atol=0.02, rtol=0.02)


def test_masked_keys_get_no_weight():
    _, _, weights = both(inputs(), KEEP)
    assert (weights[1, :, :, 4:] == 0).all()
    assert (weights[2, :, :, 0] == 1).all()


def test_dropout_is_applied_to_what_is_read_and_not_to_the_weights():
    query, key, _ = inputs()
    value = torch.ones(3, 2, 9, 8)
    read, weights = attend(query, key, value, keep=None, dropout=0.5, need_weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 9))
    assert read.std() > 0.1  # without dropout all would be 1
    fused, _ = attend(query, key, value, keep=None, dropout=0.5, need_weights=False)
    assert fused.std() > 0.1


def test_multi_head_attention_drops_only_in_training():
    attention = MultiHeadAttention(16, 2, dropout=0.5)
    x = torch.randn(2, 5, 16)
    assert not torch.equal(attention(x)[0], attention(x)[0])
    attention.eval()
    assert torch.equal(attention(x)[0], attention(x)[0])


@pytest.mark.parametrize("own", [None, KEEP])
def test_attention_pooling_starts_as_the_mean_and_returns_what_its_weights_say(own):
    torch.manual_seed(0)
    x = torch.randn(3, 9, 16)
    learned, mean = Pool(16, "attention"), Pool(16, "mean")
    torch.testing.assert_close(learned(x, own, need_weights=False)[0], mean(x, own, need_weights=False)[0])
    torch.nn.init.normal_(learned.query)
    for pool in (learned, mean):
        pooled, weights = pool(x, own, need_weights=True)
        torch.testing.assert_close(pooled, (weights[:, None] @ pool.norm(x))[:, 0])
        torch.testing.assert_close(weights.sum(1), torch.ones(3))
        assert own is None or (weights[~own] == 0).all()
    assert (learned(x, own, need_weights=True)[1][0].std() > 0.01).item()


def test_cls_pooling_takes_the_first_position():
    x = torch.randn(3, 9, 16)
    pooled, weights = Pool(16, "cls")(x, None, need_weights=True)
    torch.testing.assert_close(pooled, F.layer_norm(x[:, 0], (16,)))
    assert weights.tolist() == [[1.0] + [0.0] * 8] * 3


def test_normalise_shares_alike_where_nothing_is_left():
    scores = torch.tensor([[3.0, 1.0, 4.0], [5.0, 0.0, 0.0]])
    own = torch.tensor([[True, True, False], [False, True, True]])
    assert normalise(scores, own).tolist() == [[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]]
    assert normalise(torch.zeros(1, 4), None).tolist() == [[0.25] * 4]


def test_pass_through_averages_heads():
    weights = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]])
    assert pass_through(torch.tensor([[1.0, 0.0]]), weights).tolist() == [[0.5, 0.5]]


def positions(kind, **more):
    return Positions(kind, width=16, head_dim=8, length=12, **more)


@pytest.mark.parametrize("grid", [None, (3, 4)])
def test_rotary_products_tell_the_distance_alone(grid):
    cos, sin = positions("rotary", grid=grid).rotation(12, torch.device("cpu"), before=0)
    query, key = torch.randn(8).expand(12, 8), torch.randn(8).expand(12, 8)
    query, key = (rotate(x[None, :, None], cos, sin)[0, :, 0] for x in (query, key))
    products = query @ key.T  # (12, 12)
    torch.testing.assert_close(products[0, 1], products[1, 2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(products[0, 5], products[5, 10], atol=1e-5, rtol=1e-5)
    if grid is None:
        torch.testing.assert_close(products[3, 4], products[0, 1], atol=1e-5, rtol=1e-5)
    else:  # 3 to 4 goes from one row's end to the next one's start
        assert (products[3, 4] - products[0, 1]).abs() > 1e-3


def test_rotation_leaves_the_token_before_all_parts_alone():
    cos, sin = positions("rotary").rotation(12, torch.device("cpu"), before=1)
    x = torch.randn(13, 8)
    turned = rotate(x[None, :, None], cos, sin)[0, :, 0]
    torch.testing.assert_close(turned[0], x[0])
    assert not torch.allclose(turned[2], x[2])
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_added_positions_differ_from_place_to_place(kind):
    module = positions(kind, grid=(3, 4))
    assert module.rotation(12, torch.device("cpu"), before=0) is None
    table = module(torch.zeros(1, 12, 16))[0]
    assert torch.cdist(table, table).fill_diagonal_(1.0).min() > 1e-3


def test_positions_are_as_exact_in_low_precision():
    module = Positions("sinusoidal", width=16, head_dim=8, length=400)
    exact, low = module(torch.zeros(1, 400, 16)), module.bfloat16()(torch.zeros(1, 400, 16, dtype=torch.bfloat16))
    torch.testing.assert_close(low.float(), exact, atol=2e-4, rtol=0.01)
