"""The loops of a plain PyTorch peer: those of torch's own tutorials, in float32."""

from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from scripts.bench import timing

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def training_rate(
    model: nn.Module, batches: DataLoader[Any], optimizer: torch.optim.Optimizer, *, warmup: int, steps: int
) -> float:
    """Examples a second of the steps behind the first `warmup`, of one epoch."""
    model.train()
    start, examples = 0.0, 0
    for step, (inputs, labels) in enumerate(islice(batches, warmup + steps), 1):
        inputs, labels = inputs.to(DEVICE), labels.to(DEVICE)
        loss = F.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step > warmup:
            examples += len(labels)
        elif step == warmup:
            start = timing.now()
    if step < warmup + steps:
        raise SystemExit(f"--steps {steps}: an epoch has {step} alone, {warmup} of them to warm up")
    return examples / (timing.now() - start)


def evaluation_rate(model: nn.Module, dataset: Dataset[Any], count: int, **loading: Any) -> float:
    """Examples a second on the first `count`; `loading` is the DataLoader's."""
    model.eval()

    def work(examples: int) -> None:
        hits = 0
        with torch.inference_mode():
            for inputs, labels in DataLoader(Subset(dataset, range(examples)), **loading):
                guesses = model(inputs.to(DEVICE)).argmax(1)
                hits += int((guesses == labels.to(DEVICE)).sum())

    return timing.rate(work, count)
