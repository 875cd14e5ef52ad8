"""Models so small that every explanation of them can be worked out by hand."""

from dataclasses import replace

import torch
from torch import nn

from attnpred.config import compose
from attnpred.config.options import ModelConfig
from attnpred.contracts import AnswerSpec, Attention, Batch, ModelOutput, ModelSpec
from attnpred.data.class_target import Classes
from attnpred.explain.base import make
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models.attention import normalise
from attnpred.models.base import Model

SPEC = TextSpec(vocab_size=7, max_length=8, pad_id=0, mask_id=1)
PICTURE = ImageSpec(channels=1, height=4, width=4, mean=(100.0,), std=(50.0,))
CLASSES = Classes(classes=("no", "yes"), counts=(1, 1))
OPTIONS = ModelConfig(
    _target_="", init_from=None, frozen_levels=0, frozen=[], recompute=False, attention_loss=None, attention_weight=0.1
)

EXPLAINERS = [name for name in compose.group_options("explainer") if name != "fastshap"]  # which is trained on a run
# fewer passes than usual, of those that ask for many
FEW = {
    "lime": {"samples": 8},
    "kernel_shap": {"samples": 8},
    "sampling_shapley": {"orders": 1},
    "gradient_shap": {"samples": 3},
    "beam": {"beams": 2, "steps": 2},
    "attention_flow": {},
}


def make_explainer(name, model, task, **changes):
    """An explainer with its shipped options, some changed."""
    explainer = make(name, model, task)
    explainer.config = replace(explainer.config, **changes)
    return explainer


class Mixer(Model):
    """answer = read · A₂ · A₁ · table[tokens], all of it given: two layers of two heads, which are averaged."""

    def __init__(self, length, seed=0):
        super().__init__(OPTIONS, ModelSpec({"text": SPEC}, AnswerSpec(2)))
        random = torch.Generator().manual_seed(seed)
        self.table = nn.Embedding(SPEC.vocab_size, 2)
        self.table.weight.data = torch.randn(SPEC.vocab_size, 2, generator=random)
        self.scores = nn.Parameter(torch.randn(2, 2, length, length, generator=random))  # (layer, head, query, key)
        self.query = nn.Parameter(torch.randn(length, generator=random))

    def entrance(self):
        return self.table

    def weights(self, batch):
        """The pooling's, (batch, parts), and the layers', each (batch, head, query, key); padding has no share."""
        tokens, valid = batch.input.tokens, batch.input.valid()
        valid = torch.ones_like(tokens, dtype=torch.bool) if valid is None else valid
        size = tokens.shape[1]
        hidden = torch.where(valid, 0.0, -torch.inf)
        layers = [(scores[:, :size, :size] + hidden[:, None, None]).softmax(-1) for scores in self.scores]
        return (self.query[:size] + hidden).softmax(-1), layers

    def forward(self, batch, *, need_attention=False, need_layers=True, choice=None):
        read, layers = self.weights(batch)
        x = self.table(batch.input.tokens)
        for weights in layers:
            x = weights.mean(1) @ x
        answer = (read[:, None] @ x)[:, 0]
        if not need_attention:
            return ModelOutput(answer)
        return ModelOutput(answer, Attention(normalise(read, batch.input.own()), tuple(layers), read=read))


class Channels(Model):
    """Two channels of every pixel's number, averaged over the image and weighed into classes."""

    def __init__(self):
        super().__init__(OPTIONS, ModelSpec({"image": PICTURE}, AnswerSpec(2)))
        self.norm = nn.Identity()
        self.map = nn.Identity()
        self.mix = torch.tensor([1.0, -2.0])
        self.head = nn.Parameter(torch.tensor([[0.5, 1.0], [-1.0, 0.25]]))  # (class, channel)

    def entrance(self):
        return self.norm

    def last_map(self):
        return self.map

    def forward(self, batch, *, need_attention=False, need_layers=True, choice=None):
        x = self.norm((batch.input.pixels.float() - 100) / 50)
        seen = self.map((x * self.mix[:, None, None]).square() + x)  # (batch, channels, rows, columns)
        answer = seen.mean((2, 3)) @ self.head.T
        shares = torch.full((len(batch), 16), 1 / 16)
        return ModelOutput(answer, Attention(shares, (), ((4, 4),), shares) if need_attention else None)


def texts(*rows):
    longest = max(map(len, rows))
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    padded = bool((lengths < longest).any())
    found = TextInput(tokens=tokens, lengths=lengths, padded=padded)
    return Batch(inputs={"text": found}, targets={}, ids=torch.arange(len(rows)))


def pictures(count, seed=0):
    pixels = torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return Batch(inputs={"image": ImageInput(pixels=pixels)}, targets={}, ids=torch.arange(count))
