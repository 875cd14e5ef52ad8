from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, gelu, max_pool2d

from attnpred.errors import UserError
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.models.resnet_blocks import PlainStage, WaveStem
from tests.models.made import IMAGE, as_batch, image_batch, make_config, make_model, wrapped


@pytest.mark.parametrize(
    ("height", "width", "stages", "grid"),
    [
        (8, 8, 3, (4, 4)),
        (32, 32, 3, (8, 8)),
        (32, 32, 5, (4, 4)),
        (16, 8, 3, (8, 4)),
        (28, 28, 4, (4, 4)),
        (3, 3, 2, (3, 3)),
    ],
)
def test_the_map_is_halved_while_it_stays_large_enough(height, width, stages, grid):
    spec = replace(IMAGE, height=height, width=width)
    attention = make_model("resnet_attention", spec, stages=stages)(image_batch(2, spec), need_attention=True).attention
    assert attention.grids == (grid,)
    assert attention.importance.shape == (2, grid[0] * grid[1])


@pytest.mark.parametrize(
    ("height", "width", "stages", "grid"),
    [
        (32, 32, 1, (15, 15)),  # the stem leaves 31 by 31
        (32, 32, 2, (7, 7)),
        (32, 32, 3, (4, 4)),  # where 3 by 3 would be too few, the odd last row makes one of its own
        (32, 32, 4, (4, 4)),
        (26, 26, 3, (6, 6)),  # 25, 12, 6, and 3 would be too few
        (16, 9, 1, (7, 4)),
        (16, 8, 1, (8, 4)),
        (8, 8, 3, (4, 4)),
    ],
)
def test_every_plain_stage_halves_the_map(height, width, stages, grid):
    spec = replace(IMAGE, height=height, width=width)
    model = make_model("resnet_attention", spec, stages=stages, block="plain")
    assert model(image_batch(2, spec), need_attention=True).attention.grids == (grid,)
    strided = make_model("resnet_attention", spec, stages=stages)
    assert model.head.in_features == strided.head.in_features


@pytest.mark.parametrize(("later", "channels"), [(None, [8, 16, 32]), (24, [8, 24, 24])])
def test_later_stages_double_or_are_as_wide_as_asked(later, channels):
    model = make_model("resnet_attention", IMAGE, width=8, later_width=later, block="plain", attention="none")
    assert [stage.enter.out_channels for stage in model.blocks] == channels
    assert model.head.in_features == channels[-1]


@pytest.mark.parametrize("around", [False, True])
def test_a_path_leads_around_a_stages_later_convolutions_where_asked(around):
    torch.manual_seed(0)
    stage = PlainStage(4, 8, 2, halves=True, around=around, attention="none").eval()
    for later in stage.convs:
        torch.nn.init.zeros_(later.weight)
    x = torch.randn(2, 4, 8, 8)
    entered = gelu(stage.enter_norm(max_pool2d(stage.enter(x), 2)))
    found, _ = stage(x)
    torch.testing.assert_close(found, gelu(entered) if around else torch.zeros_like(entered))


def test_the_fixed_stem_takes_photographs_apart_into_waves_of_one_strength():
    stem = WaveStem(3, faint=5e-4)
    kernels = stem.kernels.flatten(1)
    torch.testing.assert_close(kernels @ kernels.T, torch.eye(12))  # a change of view that loses nothing
    flat = torch.ones(1, 3, 5, 5)
    seen = torch.nn.functional.conv2d(flat, stem.kernels)
    assert [wave for wave in range(12) if seen[0, wave].abs().max() > 1e-5] == [0]  # brightness alone
    smooth = 100 * torch.rand(8, 3, 9, 9).cumsum(2).cumsum(3)
    found = stem.train()(smooth)
    assert found.shape == (8, 24, 8, 8)
    assert list(stem.parameters()) == []
    spread = stem.norm(torch.nn.functional.conv2d(smooth, stem.kernels)).std((0, 2, 3))
    torch.testing.assert_close(spread, torch.ones(12), atol=0.01, rtol=0)
    noise = 1e-3 * torch.rand(8, 3, 9, 9)
    assert WaveStem(3, faint=5e-4).train()(noise).std() < 0.1  # is not made as strong
    assert WaveStem(3, faint=0.05).train()(10 * noise).std() < 0.02


@pytest.mark.parametrize("block", ["strided", "plain"])
@pytest.mark.parametrize("attention", ["none", "cbam", "self"])
@torch.no_grad()
def test_folded_norms_change_no_answer(block, attention):
    torch.manual_seed(0)
    model = make_model("resnet_attention", IMAGE, block=block, attention=attention).train()
    for p in model.parameters():  # norms and gates that do something
        p.add_(0.2 * torch.randn_like(p))
    for _ in range(3):
        model(image_batch(8))
    batch = image_batch(4)
    before = model.eval()(batch, need_attention=True)
    after = model.for_inference()(batch, need_attention=True)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) and m.affine for m in model.modules())
    torch.testing.assert_close(after.answer, before.answer, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.attention.importance, before.attention.importance, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_pixels_may_be_bytes_or_floats():
    model, batch = make_model("resnet_attention", IMAGE), image_batch()
    blended = batch.reading(replace(batch.input, pixels=batch.input.pixels.float()))
    torch.testing.assert_close(model(blended).answer, model(batch).answer)


def test_pixels_are_normalised_by_the_specification():
    spec = replace(IMAGE, std=(60.0, 50.0, 0.0))
    model = make_model("resnet_attention", spec)
    pixels = torch.tensor(spec.mean).view(1, 3, 1, 1).expand(1, 3, 4, 4) + 60
    normal = model.normalise(pixels)
    torch.testing.assert_close(normal[0, :2, 0, 0], torch.tensor([1.0, 1.2]))
    assert normal.isfinite().all()
    assert not any(key.startswith("normalise") for key in model.state_dict())


@torch.no_grad()
def test_spatial_gates_weigh_the_importance():
    model = make_model("resnet_attention", IMAGE, attention="cbam", pooling="mean")
    attention = model(image_batch(), need_attention=True).attention
    (gate,) = attention.layers
    assert gate.shape == (4, 1, 1, 4 * 4 * 2)
    assert ((gate > 0) & (gate < 1)).all()
    torch.testing.assert_close(attention.importance, gate[:, 0, 0] / gate[:, 0, 0].sum(1, keepdim=True))


@torch.no_grad()
def test_self_attention_mixes_the_importance():
    model = make_model("resnet_attention", IMAGE, attention="self", pooling="mean")
    attention = model(image_batch(), need_attention=True).attention
    (weights,) = attention.layers
    assert weights.shape == (4, 2, 32, 32)
    torch.testing.assert_close(attention.importance, 0.5 / 32 + 0.5 * weights.mean(1).mean(1))


@torch.no_grad()
def test_without_spatial_attention_the_mean_is_uniform():
    model = make_model("resnet_attention", IMAGE, attention="se", pooling="mean")
    attention = model(image_batch(), need_attention=True).attention
    assert attention.layers == ()
    torch.testing.assert_close(attention.importance, torch.full((4, 32), 1 / 32))


def test_convolutions_run_in_the_fast_layout():
    model = make_model("resnet_attention", IMAGE)
    seen = []
    model.blocks[0].register_forward_hook(lambda module, args, result: seen.append(result[0]))
    model(image_batch())
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_heads_must_divide_the_last_stage():
    with pytest.raises(
        UserError, match=r"^model\.heads=5: must divide the last stage's 128 channels \(widths \[32, 64, 128\]\)$"
    ):
        make_config("resnet_attention", heads=5)
    assert make_config("resnet_attention", heads=5, later_width=40).heads == 5
    assert make_config("resnet_attention", heads=5, attention="cbam").heads == 5


@pytest.mark.parametrize("attention", ["none", "se", "cbam", "self"])
def test_it_learns_where_the_bright_square_is(attention):
    spec = wrapped(ImageSpec(channels=1, height=8, width=8, mean=(60.0,), std=(40.0,)), 4)
    torch.manual_seed(0)
    labels = torch.arange(64) % 4
    pixels = torch.randint(0, 90, (64, 1, 8, 8))
    for image, label in zip(pixels, labels.tolist(), strict=True):
        image[:, 4 * (label // 2) :, 4 * (label % 2) :][:, :4, :4] += 100
    batch = as_batch(ImageInput(pixels=pixels.to(torch.uint8)), "image")
    model = make_model("resnet_attention", spec, attention=attention).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(25):
        optimizer.zero_grad()
        cross_entropy(model(batch).answer, labels).backward()
        optimizer.step()
    assert (model.eval()(batch).answer.argmax(1) == labels).float().mean() > 0.95
