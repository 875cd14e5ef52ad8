"""A residual network with attention on CIFAR-10, against a plain PyTorch loop over a torchvision-style dataset.

    python -m scripts.bench.resnet_cifar10 --pairs 3

The peer changes image by image in two workers and multiplies in float32; network, rows and batches are the same.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from attnpred.modalities.image.batch import ImageSpec
from scripts.bench import harness, ours, plain
from scripts.bench.harness import Options

OVERRIDES = ["model=resnet_attention", "data=cifar10"]
WORKERS = 2
WIDTHS, DEPTH, HEADS = (32, 64, 128), 2, 4


class PlainBlock(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        widens = channels != inner
        self.branch = nn.Sequential(
            nn.Conv2d(channels, inner, 3, stride=2 if widens else 1, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
        )
        around = [nn.AvgPool2d(2), nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)]
        self.around = nn.Sequential(*around) if widens else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.around(x))


class PlainResnet(nn.Module):
    """Our default for these images, as one writes it from torch's own parts; to a parameter the same size."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        first, last = WIDTHS[0], WIDTHS[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        blocks, before = [], first
        for width in WIDTHS:
            for _ in range(DEPTH):
                blocks.append(PlainBlock(before, width))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.attention_norm, self.pool_norm = nn.LayerNorm(last), nn.LayerNorm(last)
        self.attention = nn.MultiheadAttention(last, HEADS, batch_first=True)
        self.query = nn.Parameter(torch.zeros(last))
        self.head = nn.Linear(last, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, classes)"""
        x = self.blocks(self.stem(pixels)).flatten(2).transpose(1, 2)  # (batch, parts, channels)
        y = self.attention_norm(x)
        x = self.pool_norm(x + self.attention(y, y, y, need_weights=False)[0])
        weights = (x @ self.query * x.shape[-1] ** -0.25).softmax(1)  # (batch, parts)
        return self.head((x * weights[..., None]).sum(1))


class Photographs(Dataset[tuple[Tensor, int]]):
    """As torchvision's datasets are: an array of images, each made a PIL image and transformed when asked for."""

    def __init__(self, pixels: Tensor, labels: Tensor, transform: Any) -> None:
        self.images = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def transforms(spec: ImageSpec, *, train: bool) -> Any:
    from torchvision.transforms import v2

    height = spec.height
    changes = [v2.RandomCrop(height, padding=4, padding_mode="reflect"), v2.RandomHorizontalFlip()] if train else []
    mean, std = ([value / 255 for value in values] for values in (spec.mean, spec.std))
    return v2.Compose([*changes, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])


def our_side(options: Options) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        run = ours.train(OVERRIDES, warmup=options.warmup, steps=options.steps, directory=directory)
        pixels, _ = images(ours.prepared(run.config()), "val")
        files = written(pixels[: options.examples], Path(directory))
        return {
            "training": ours.training_rate(run, warmup=options.warmup, steps=options.steps),
            "evaluation": ours.evaluation_rate(run, len(files), len(pixels)),
            "prediction": ours.prediction_rate(run, files),
        }


def plain_side(options: Options) -> dict[str, float]:
    config = ours.composed(OVERRIDES)
    data = ours.prepared(config)
    spec, chosen = data.reader.spec, config.optimizer
    train, val = (
        Photographs(*images(data, split), transforms(spec, train=split == "train")) for split in ("train", "val")
    )
    loading: dict[str, Any] = {"num_workers": WORKERS, "pin_memory": plain.DEVICE == "cuda"}
    torch.manual_seed(config.seed)
    model = PlainResnet(spec.channels, len(data.target_spec.classes)).to(plain.DEVICE)
    optimizer = torch.optim.SGD(
        model.parameters(), chosen.lr, momentum=chosen.momentum, weight_decay=chosen.weight_decay, nesterov=True
    )
    batches = DataLoader(train, config.data.batch_size, shuffle=True, **loading)
    training = plain.training_rate(model, batches, optimizer, warmup=options.warmup, steps=options.steps)
    count = min(options.examples or len(val), len(val))
    return {
        "training": training,
        "evaluation": plain.evaluation_rate(model, val, count, batch_size=config.data.eval_batch_size, **loading),
    }


def images(data: Any, split: str) -> tuple[Tensor, Tensor]:
    """A split's pixels, (images, channels, height, width) uint8, and labels."""
    batches = list(data.loader(split))
    return torch.cat([b.input.pixels for b in batches]), torch.cat([b.targets["label"] for b in batches])


def written(pixels: Tensor, directory: Path) -> list[str]:
    """The paths of image files."""
    files = [directory / f"{number}.png" for number in range(len(pixels))]
    for file, image in zip(files, pixels.permute(0, 2, 3, 1).numpy(), strict=True):
        Image.fromarray(image).save(file)
    return [str(file) for file in files]


BENCHMARK = harness.Benchmark(
    module="scripts.bench.resnet_cifar10",
    sides={"ours": our_side, "plain": plain_side},
    comparisons=harness.three_works("ResNet on CIFAR-10", "plain PyTorch", peer="plain", target=4.0),
    defaults=Options(warmup=10, steps=60),
)

if __name__ == "__main__":
    harness.main(BENCHMARK, __doc__)
