"""A transformer from scratch on IMDb, against a plain PyTorch loop over `nn.TransformerEncoder`.

    python -m scripts.bench.transformer_imdb --pairs 3

Both read the same tokens in batches of the same size. The peer is in float32 and pads to a constant length.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from attnpred.modalities.text.batch import TextSpec
from scripts.bench import harness, ours, plain
from scripts.bench.harness import Options

OVERRIDES = ["model=transformer", "data=imdb"]
WIDTH, HEADS, DEPTH = 128, 4, 4


class PlainTransformer(nn.Module):
    """As one writes it from torch's own parts; the measures are those of our default."""

    def __init__(self, spec: TextSpec, classes: int) -> None:
        super().__init__()
        self.pad_id = spec.pad_id
        self.tokens = nn.Embedding(spec.vocab_size, WIDTH, padding_idx=spec.pad_id)
        self.places = nn.Embedding(spec.max_length, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        # nested tensors do not go with norm_first
        self.encoder = nn.TransformerEncoder(layer, DEPTH, norm=nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) -> (batch, classes)"""
        padding = tokens == self.pad_id
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        x = self.encoder(x, src_key_padding_mask=padding)  # (batch, length, width)
        kept = (~padding)[..., None]
        return self.head((x * kept).sum(1) / kept.sum(1))


def plain_side(options: Options) -> dict[str, float]:
    config = ours.composed(OVERRIDES)
    data = ours.prepared(config)
    train, val = padded(data, "train"), padded(data, "val")
    torch.manual_seed(config.seed)
    model = PlainTransformer(data.reader.spec, len(data.target_spec.classes)).to(plain.DEVICE)
    batches = DataLoader(train, config.data.batch_size, shuffle=True, pin_memory=plain.DEVICE == "cuda")
    optimizer = torch.optim.AdamW(model.parameters(), config.optimizer.lr, weight_decay=config.optimizer.weight_decay)
    training = plain.training_rate(model, batches, optimizer, warmup=options.warmup, steps=options.steps)
    count = min(options.examples or len(val), len(val))
    return {
        "training": training,
        "evaluation": plain.evaluation_rate(model, val, count, batch_size=config.data.eval_batch_size),
    }


def padded(data: Any, split: str) -> TensorDataset:
    """A split's tokens, all padded to the longest that there may be."""
    spec, batches = data.reader.spec, list(data.loader(split))
    found = [b.input.tokens for b in batches]
    tokens = [F.pad(some, (0, spec.max_length - some.shape[1]), value=spec.pad_id) for some in found]
    return TensorDataset(torch.cat(tokens), torch.cat([b.targets["label"] for b in batches]))


BENCHMARK = harness.Benchmark(
    module="scripts.bench.transformer_imdb",
    sides={"ours": partial(ours.text_side, OVERRIDES), "plain": plain_side},
    comparisons=harness.three_works("transformer on IMDb", "plain PyTorch", peer="plain", target=6.0),
    # the peer's steps all take the same time, a long one; ours vary with the texts, and need as many to even out
    defaults=Options(warmup=10, steps=40, examples=1000),
)

if __name__ == "__main__":
    harness.main(BENCHMARK, __doc__)
