"""How fast an encoder-decoder learns and answers beside `transformers`: Seq2SeqTrainer, and generate, on Multi30k.

Both have as many layers, widths, heads and entries, the same number format, and batches of the same budget. Ratios are
of turns that follow one another in one run. Writes `scripts/translation_speed.json` and the table of
`docs/translation.md`. ATTNPRED_DATA names the folder of the data.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnpred.config import compose
from attnpred.contracts import Batch
from attnpred.files import read_json, write_json
from attnpred.machine.device import choose
from attnpred.models.decoding import Decoding
from attnpred.training import optimizers
from attnpred.training.train import prepare
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULT = Path(__file__).with_suffix(".json")
PAGE = DOCS / "translation.md"
SHOWN = {"learning": "training, against `Seq2SeqTrainer`", "answering": "five beams, against `generate`"}

SIZES = {"width": 256, "depth": 4, "heads": 4, "mlp_ratio": 2.0}


def parts(cache: str, budget: int) -> tuple[Any, Any, Any]:
    """Config, data and learner of the recipe."""
    source = Path(os.environ["ATTNPRED_DATA"]) / "multi30k"
    words = ["experiment=multi30k_transformer", f"data.source={source}", f"data.cache_dir={cache}"]
    words += [f"data.token_budget={budget}", *(f"model.{name}={value}" for name, value in SIZES.items())]
    config = compose.compose(words)
    return config, *prepare(config)


def marian(spec: Any, dropout: float) -> Any:
    """The same network as `transformers` has it."""
    from transformers import MarianConfig, MarianMTModel

    hidden = round(SIZES["width"] * SIZES["mlp_ratio"])
    sides: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        sides |= {f"{side}_layers": SIZES["depth"], f"{side}_attention_heads": SIZES["heads"]}
        sides |= {f"{side}_ffn_dim": hidden}
    return MarianMTModel(
        MarianConfig(
            vocab_size=spec.vocab_size,
            d_model=SIZES["width"],
            dropout=dropout,
            attention_dropout=0.0,
            activation_dropout=0.0,
            pad_token_id=0,
            eos_token_id=spec.end_id,
            forced_eos_token_id=None,
            decoder_start_token_id=spec.begin_id,
            decoder_vocab_size=spec.vocab_size,
            bos_token_id=spec.begin_id,
            **sides,
        )
    )


def ours_learns(learner: Any, config: Any, chosen: Any, batches: list[Batch]) -> float:
    """Seconds of optimizer steps over the batches."""
    learner.train()
    optimizer = optimizers.make(learner.model, config.optimizer, fused=True)
    started = time.perf_counter()
    for batch in batches:
        with chosen.autocast():
            loss = learner.step(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    learner.steps.clear()
    return time.perf_counter() - started


def theirs_learns(network: Any, rows: list[tuple[list[int], list[int]]], size: int, bf16: bool) -> float:
    """Seconds of Seq2SeqTrainer's training over the rows, a batch of as many as ours has on average."""
    from datasets import Dataset
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

    def collate(some: list[dict[str, list[int]]]) -> dict[str, Tensor]:
        longest = [max(len(row[key]) for row in some) for key in ("input_ids", "labels")]
        ids = [row["input_ids"] + [0] * (longest[0] - len(row["input_ids"])) for row in some]
        labels = [row["labels"] + [-100] * (longest[1] - len(row["labels"])) for row in some]
        mask = [[1] * len(r["input_ids"]) + [0] * (longest[0] - len(r["input_ids"])) for r in some]
        begin = network.config.decoder_start_token_id
        read = [[begin] + [max(token, 0) for token in row[:-1]] for row in labels]
        made = {"input_ids": ids, "labels": labels, "attention_mask": mask, "decoder_input_ids": read}
        return {name: torch.tensor(values) for name, values in made.items()}

    with tempfile.TemporaryDirectory() as place:
        arguments = Seq2SeqTrainingArguments(
            output_dir=place,
            per_device_train_batch_size=size,
            num_train_epochs=1,
            label_smoothing_factor=0.1,
            train_sampling_strategy="group_by_length",
            bf16=bf16,
            use_cpu=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            logging_strategy="no",
        )
        data = Dataset.from_list([{"input_ids": source, "labels": target} for source, target in rows])
        trainer = Seq2SeqTrainer(model=network, args=arguments, train_dataset=data, data_collator=collate)
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def learning(args: argparse.Namespace, cache: str) -> dict[str, Any]:
    config, data, learner = parts(cache, args.budget)
    chosen = choose(config.trainer)
    loader = data.loader("train")
    batches = [batch for batch, _ in zip(loader, range(args.batches), strict=False)]
    rows = []
    for batch in batches:
        for source, length, target in zip(
            batch.input.tokens.tolist(), batch.input.lengths.tolist(), batch.targets["tokens"].tolist(), strict=True
        ):
            rows.append((source[:length], [token for token in target if token >= 0]))
    tokens = sum(len(target) for _, target in rows)
    size = max(round(len(rows) / len(batches)), 1)
    network = marian(data.target_spec, config.model.dropout)
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(args.turns):
        found["ours"].append(tokens / ours_learns(learner, config, chosen, batches))
        found["theirs"].append(tokens / theirs_learns(network, rows, size, chosen.precision == "bf16-mixed"))
    return {"target_tokens": tokens, "parameters": sum(p.numel() for p in learner.model.parameters()), **told(found)}


def answering(args: argparse.Namespace, cache: str) -> dict[str, Any]:
    """Both networks have random weights, so that answers are as long as they may be; both stop at the same step."""
    config, data, learner = parts(cache, args.budget)
    chosen = choose(config.trainer)
    model = learner.model.eval()
    batches = [batch for batch, _ in zip(data.loader("test"), range(args.batches), strict=False)]
    network = marian(data.target_spec, 0.0).eval()
    decoding = Decoding(beam=args.beam)
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(args.turns):
        started, tokens = time.perf_counter(), 0
        with torch.inference_mode(), chosen.autocast():
            for batch in batches:
                tokens += int((model.generate(batch, decoding).tokens[:, 0] >= 0).sum())
        found["ours"].append(tokens / (time.perf_counter() - started))
        started, tokens = time.perf_counter(), 0
        with torch.inference_mode(), chosen.autocast():
            for batch in batches:
                valid = batch.input.valid()
                mask = torch.ones_like(batch.input.tokens) if valid is None else valid.long()
                made = network.generate(
                    input_ids=batch.input.tokens,
                    attention_mask=mask,
                    num_beams=args.beam,
                    max_new_tokens=int(10 + 3 * mask.sum(1).max()),
                )
                tokens += int((made[:, 1:] != 0).sum())
        found["theirs"].append(tokens / (time.perf_counter() - started))
    return {"beam": args.beam, "sentences": sum(map(len, batches)), **told(found)}


def told(found: dict[str, list[float]]) -> dict[str, Any]:
    """Tokens a second of each turn, and the median of the ratios."""
    ratios = [ours / theirs for ours, theirs in zip(found["ours"], found["theirs"], strict=True)]
    return {"tokens_a_second": found, "ratio": statistics.median(ratios)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=64, help="batches of each turn (default: 64)")
    parser.add_argument("--turns", type=int, default=3, help="turns of both (default: 3)")
    parser.add_argument("--budget", type=int, default=4096, help="tokens of a batch (default: 4096)")
    parser.add_argument("--beam", type=int, default=5, help="beams (default: 5)")
    parser.add_argument("--only", nargs="+", choices=WORKS, default=list(WORKS), help="the other's result is kept")
    args = parser.parse_args()
    kept = read_json(RESULT) if RESULT.is_file() else {}
    for name in args.only:
        with tempfile.TemporaryDirectory() as cache:
            kept[name] = {**origin(), **WORKS[name](args, cache)}
        write_json(RESULT, kept)
    put(table(kept), "translation_speed", PAGE)


WORKS = {"learning": learning, "answering": answering}


def table(kept: dict[str, Any]) -> str:
    lines = [
        "| | ours, target tokens/s | transformers | ratio (range) | turns, machine, date |",
        "|---|---|---|---|---|",
    ]
    for name, what in SHOWN.items():
        if name in kept:
            one = kept[name]
            ours, theirs = (one["tokens_a_second"][side] for side in ("ours", "theirs"))
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            speeds = " | ".join(f"{statistics.median(side):,.0f}" for side in (ours, theirs))
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            lines.append(f"| {what} | {speeds} | {spread} | {len(ours)}, {one['machine']}, {one['date']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
