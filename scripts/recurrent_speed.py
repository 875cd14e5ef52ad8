"""How long a training step of `recurrent` takes, beside the module that one writes around `torch.nn.LSTM` or `nn.GRU`.

    python -m scripts.recurrent_speed

Both embed texts of mixed lengths, read them in two directions, pool the states by attention, and learn by AdamW. The
other packs its batches, as PyTorch's tutorials do, or leaves padding in (`padded`), which is quicker there and lets
padding be read. Steps take turns; times are of the processor, on one thread. Writes `scripts/recurrent_speed.json` and
the table of docs/series.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config import compose
from attnpred.contracts import Batch, ModelSpec
from attnpred.data.class_target import Classes
from attnpred.files import read_json, write_json
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models import size
from attnpred.tasks.classification import Classification
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULT = Path(__file__).with_suffix(".json")
PAGE = DOCS / "series.md"
WORDS, CLASSES = 8000, 2
SHAPES = {"64 texts of 5 to 40 tokens, width 128": (64, 5, 40, 128), "32 of 100 to 400, width 64": (32, 100, 400, 64)}
FORMATS = {"float32": False, "bf16": True}


class Usual(nn.Module):
    """What tutorials make of a cell: batches are packed, unless padding is to be read."""

    def __init__(self, kind: str, width: int, packed: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, width, padding_idx=0)
        cells = nn.LSTM if kind == "lstm" else nn.GRU
        self.cells = cells(width, width, batch_first=True, bidirectional=True)
        self.score, self.head = nn.Linear(2 * width, 1), nn.Linear(2 * width, CLASSES)
        self.packed = packed

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        x = self.embed(tokens)
        if self.packed:
            rows = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x = nn.utils.rnn.pad_packed_sequence(self.cells(rows)[0], batch_first=True)[0]
        else:
            x = self.cells(x)[0]
        behind = torch.arange(tokens.shape[1]) >= lengths[:, None]
        share = self.score(x).squeeze(-1).masked_fill(behind, -1e4).softmax(1)
        return self.head((share[..., None] * x).sum(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="of a round")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = read_json(RESULT) if RESULT.is_file() else {}
    for kind in ("lstm", "gru"):
        for title, shape in SHAPES.items():
            for name, half in FORMATS.items():
                ratios = measured(kind, shape, half, args.rounds, args.steps)
                found[f"{kind}, {title}, {name}"] = {**origin(), "rounds": args.rounds, **ratios}
                write_json(RESULT, found)
                print(kind, title, name, {who: round(statistics.median(v), 2) for who, v in ratios.items()}, flush=True)
    put(table(found), "recurrent_speed", PAGE)


def measured(kind: str, shape: tuple[int, ...], half: bool, rounds: int, steps: int) -> dict[str, list[float]]:
    """How many times as long the others take as ours, of every round."""
    count, shortest, longest, width = shape
    random = torch.Generator().manual_seed(0)
    lengths = torch.randint(shortest, longest + 1, (count,), generator=random)
    lengths[0] = longest
    tokens = torch.randint(3, WORDS, (count, longest), generator=random)
    tokens[torch.arange(longest) >= lengths[:, None]] = 0
    labels = torch.randint(0, CLASSES, (count,), generator=random)
    ours = stepping(*_ours(kind, width, tokens, lengths, labels), half)
    others = {}
    for who, packed in (("packed", True), ("padded", False)):
        usual = Usual(kind, width, packed)
        others[who] = stepping(usual, partial(_usual_loss, usual, tokens, lengths, labels), half)
    for step in (ours, *others.values()):
        step()
    ratios: dict[str, list[float]] = {who: [] for who in others}
    for _ in range(rounds):
        own = seconds(ours, steps)
        for who, step in others.items():
            ratios[who].append(seconds(step, steps) / own)
    return ratios


def _usual_loss(model: nn.Module, tokens: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(model(tokens, lengths), labels)


def _ours(kind: str, width: int, tokens: Tensor, lengths: Tensor, labels: Tensor) -> tuple[nn.Module, Any]:
    words = ["model=recurrent", "data=texts", f"model.cell={kind}", f"model.width={width}", "model.dropout=0"]
    config: Any = compose.compose(words)
    text = TextSpec(vocab_size=WORDS, max_length=tokens.shape[1], pad_id=0, mask_id=1)
    task = Classification(config.task, Classes(classes=("a", "b")))
    model = size.fresh(config.model, ModelSpec({"text": text}, task.answer)).train()
    read = TextInput(tokens=tokens, lengths=lengths, padded=True)
    batch = Batch(inputs={"text": read}, targets={"label": labels}, ids=torch.arange(len(labels)))
    return model, lambda: task.loss(model(batch), batch)


def stepping(model: nn.Module, loss: Callable[[], Tensor], half: bool) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            found = loss()
        optimizer.zero_grad()
        found.backward()
        optimizer.step()

    return step


def seconds(step: Callable[[], None], count: int) -> float:
    """Of the processor."""
    started = time.process_time()
    for _ in range(count):
        step()
    return time.process_time() - started


def table(found: dict[str, Any]) -> str:
    lines = ["| a step of | times as long as ours: packed | padding read |", "|---|---|---|"]
    for name, one in found.items():
        cells = [
            f"{statistics.median(one[w]):.2f} ({min(one[w]):.2f} to {max(one[w]):.2f})" for w in ("packed", "padded")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    last = list(found.values())[-1]
    return "\n".join([*lines, "", f"Medians of {last['rounds']} rounds; {last['machine']}, {last['date']}."])


if __name__ == "__main__":
    main()
