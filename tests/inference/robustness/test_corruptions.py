"""What can be wrong with an input: more in each severity, the same for one seed, and nothing outside its own parts."""

import pytest
import torch

from attnpred.modalities import corruptions
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.series.batch import SeriesInput
from attnpred.modalities.text.corruptions import grouped, mistyped


class Reader:
    def __init__(self, spec):
        self.spec = spec


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images():
    torch.manual_seed(0)
    spec = ImageSpec(channels=3, height=16, width=16, mean=(120.0,) * 3, std=(50.0,) * 3)
    ramp = (12 * torch.arange(16)).expand(6, 3, 16, 16) + torch.randint(40, (6, 3, 16, 16))
    return ImageInput(pixels=ramp.to(torch.uint8)), Reader(spec)


def series():
    torch.manual_seed(0)
    return SeriesInput(values=torch.randn(6, 2, 40)), Reader(None)


@pytest.mark.parametrize("kind", ["image", "series"])
def test_each_severity_changes_more(kind):
    found, reader = images() if kind == "image" else series()
    numbers = (lambda one: one.pixels.float()) if kind == "image" else (lambda one: one.values)
    assert set(corruptions(kind)) == {"noise", "blur", "occlusion", "shift"}
    for name, change in corruptions(kind).items():
        each = [change(found, reader, severity, seeded()) for severity in (1, 5)]
        assert all(numbers(one).shape == numbers(found).shape for one in each)
        far = [(numbers(one) - numbers(found)).square().mean().item() for one in each]
        assert far[0] > 0, name
        assert far[1] >= far[0], name
        again = change(found, reader, 5, seeded())
        assert torch.equal(numbers(again), numbers(each[1])), name


def test_an_occluded_picture_is_covered_by_a_square_of_the_mean_colour():
    found, reader = images()
    covered = corruptions("image")["occlusion"](found, reader, 5, seeded()).pixels
    changed = (covered != found.pixels).any(1)  # (batch, height, width)
    assert (covered.permute(0, 2, 3, 1)[changed] == 120).all()
    assert changed.float().mean().item() == pytest.approx(0.4, abs=0.05)


@pytest.fixture(scope="module")
def texts(text_run):
    data = text_run.data(text_run.config())
    return next(iter(data.loader("val"))).input, text_run.reader()


def test_texts_keep_their_words_and_their_places(texts):
    found, reader = texts
    own = found.own()
    own = torch.ones_like(found.tokens, dtype=torch.bool) if own is None else own
    for name in ("noise", "occlusion"):
        changed = corruptions("text")[name](found, reader, 5, seeded())
        assert (changed.tokens == found.tokens)[~own].all()
        share = (changed.tokens != found.tokens)[own].float().mean().item()
        assert 0.2 < share < 0.6, name
    moved = corruptions("text")["shift"](found, reader, 3, seeded())
    assert (moved.tokens == found.tokens)[~own].all()
    assert not torch.equal(moved.tokens, found.tokens)
    for row in range(len(found)):
        assert sorted(moved.tokens[row].tolist()) == sorted(found.tokens[row].tolist())


def test_typing_mistakes_are_within_words(texts):
    found, reader = texts
    tokenizer = reader.vocabulary.tokenizer
    typed = corruptions("text")["typos"](found, reader, 5, seeded())
    words = [
        [word for word, _ in grouped(tokenizer, tokens[one.prefix : length - one.suffix])]
        for one in (found, typed)
        for tokens, length in zip(one.tokens.tolist(), one.lengths.tolist(), strict=True)
    ]
    before, after = words[: len(found)], words[len(found) :]
    same = [len(one) == len(other) for one, other in zip(before, after, strict=True)]
    assert sum(same) > 0.8 * len(same)
    changed = [a != b for one, other in zip(before, after, strict=True) for a, b in zip(one, other, strict=False)]
    assert 0.05 < sum(changed) / len(changed) < 0.6


@pytest.mark.parametrize("word", ["film", "wonderful"])
def test_a_mistake_is_one_of_four(word):
    made = {mistyped(word, seeded(seed)) for seed in range(200)}
    assert {len(one) - len(word) for one in made} == {-1, 0, 1}
    assert mistyped("a", seeded()) == "a"
    assert mistyped("3rd!", seeded()) == "3rd!"
