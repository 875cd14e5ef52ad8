from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from attnpred.errors import UserError
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models.transformer import ExampleDropout, Transformer
from tests.models.made import IMAGE, LENGTH, TEXT, as_batch, image_batch, make_config, make_model, text_batch, wrapped


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "model.heads=3: must divide width=128"),
        (
            {"heads": 128},
            "model.heads=128: rotary positions need width=128 / heads, 1, to be a multiple of 4",
        ),
        (
            {"width": 6, "heads": 2, "positions": "sinusoidal"},
            "model.width=6: sinusoidal positions need a multiple of 4",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(UserError) as error:
        make_config("transformer", **changes)
    assert str(error.value) == message


def test_patches_must_divide_the_image():
    with pytest.raises(UserError) as error:
        make_model("transformer", IMAGE, patch=3)
    expected = "model.patch=3: does not divide the images' 16x8 pixels; take a divisor of 8, or null"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("height", "width", "patch", "grid"),
    [
        (8, 8, None, (4, 4)),
        (32, 32, None, (8, 8)),
        (28, 28, None, (14, 14)),
        (16, 8, None, (8, 4)),
        (16, 8, 4, (4, 2)),
        (7, 5, None, (7, 5)),
    ],
)
def test_parts_are_patches_in_reading_order(height, width, patch, grid):
    spec = replace(IMAGE, height=height, width=width)
    model = make_model("transformer", spec, patch=patch)
    batch = image_batch(1, spec)
    assert model(batch, need_attention=True).attention.grids == (grid,)
    # a changed pixel changes the feature of its own patch alone
    side, before = height // grid[0], model.embed(batch.input)
    pixels = batch.input.pixels.clone()
    pixels[0, 0, -1, 0] ^= 255
    changed = (model.embed(replace(batch.input, pixels=pixels)) - before)[0].abs().sum(1).nonzero().flatten().tolist()
    assert changed == [((height - 1) // side) * grid[1]]


@pytest.mark.parametrize("kind", ["learned", "sinusoidal", "rotary"])
@torch.no_grad()
def test_the_order_of_words_matters(kind):
    model = make_model("transformer", TEXT, positions=kind)
    batch = text_batch((LENGTH,))
    turned = batch.reading(replace(batch.input, tokens=batch.input.tokens.flip(1)))
    assert not torch.allclose(model(turned).answer, model(batch).answer, atol=1e-4)


@torch.no_grad()
def test_bfloat16_weights_work():
    for spec, batch in ((TEXT, text_batch()), (IMAGE, image_batch())):
        model = make_model("transformer", spec)
        exact = model(batch).answer
        output = model.bfloat16()(batch, need_attention=True)
        torch.testing.assert_close(output.answer.float(), exact, atol=0.1, rtol=0.1)
        assert output.attention.importance.dtype == torch.float32


def test_dropout_takes_a_feature_from_a_whole_example():
    torch.manual_seed(0)
    dropout, x = ExampleDropout(0.25), torch.ones(8, 5, 64)
    dropped = dropout(x)
    assert (dropped == dropped[:, :1]).all()
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.08)
    assert dropped.max().item() == pytest.approx(1 / 0.75)
    assert dropout.eval()(x) is x


def test_it_learns_which_words_decide_and_looks_at_them():
    torch.manual_seed(0)
    config = make_config("transformer", width=64, depth=1, dropout=0.0)
    model = Transformer(config, wrapped(TextSpec(vocab_size=500, max_length=24, pad_id=0, mask_id=1)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001)
    rows, labels = torch.arange(64), torch.arange(64) % 2
    for _ in range(80):
        tokens, places = torch.randint(100, 500, (64, 24)), torch.randint(0, 24, (64,))
        tokens[rows, places] = 10 + labels + 2 * torch.randint(0, 10, (64,))
        batch = as_batch(TextInput(tokens=tokens, lengths=torch.full((64,), 24), padded=False))
        output = model(batch, need_attention=True)
        optimizer.zero_grad()
        cross_entropy(output.answer, labels).backward()
        optimizer.step()
    assert (output.answer.argmax(1) == labels).float().mean() > 0.95
    assert output.attention.importance[rows, places].mean() > 3 / 24
