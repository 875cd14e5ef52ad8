"""Measures a GPU within eight minutes: speed beside peers, share of the peak, memory, and exact resume.

    python -m scripts.bench.gpu
    python -m scripts.bench.gpu --only bert bert_compiled bert_peer

Each part runs in a process of its own; its result is written to `scripts/bench/gpu.json` as soon as it is there. Parts
that no longer fit into `--seconds` are left out and named. Data comes from the hub, or from below ATTNPRED_DATA. Where
no GPU is visible, `--small` tries every part on the CPU with data that need no download.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from attnpred.files import read_json, write_json
from attnpred.runs.run import Run
from scripts.bench import encoder, harness, ours, resnet_cifar10, timing, transformer_imdb
from scripts.bench.harness import Options
from scripts.kept import origin

RESULT = Path(__file__).with_suffix(".json")
SECONDS = 480.0
GOAL = 0.9  # accuracy on CIFAR-10 that training is timed to
# Of one device in bf16, without sparsity, as its maker states it
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
SIDE = {True: 256, False: 8192}  # of the square matrices whose product gives the rate that a program reaches


@dataclass(frozen=True)
class Work:
    """What is trained: overrides on real data, and in small."""

    overrides: tuple[str, ...]
    small: tuple[str, ...]

    def given(self, small: bool) -> list[str]:
        return [*(self.small if small else self.overrides), f"trainer.precision={'32-true' if small else 'bf16-mixed'}"]


RESNET = Work(
    ("model=resnet_attention", "data=cifar10", "data.batch_size=512"), ("model=resnet_attention", "data=digits")
)
TRANSFORMER = Work(
    ("model=transformer", "data=imdb", "data.batch_size=128"),
    ("model=transformer", "data=evidence_text", "data.rows=3000", "model.width=16", "model.depth=1"),
)
BERT = Work(
    ("model=bert", "model.attention_dropout=null", "data=sst2", "data.batch_size=128", "data.max_length=128"),
    ("model=bert", "model.attention_dropout=null", "data=evidence_text", "data.rows=3000", "data.batch_size=8"),
)
RECIPE = Work(
    ("experiment=cifar10_resnet", "trainer.attention_examples=0", "logger=csv"),
    ("data=digits", "trainer.max_epochs=2", "trainer.attention_examples=0", "logger=csv"),
)
SHARDED = Work((*BERT.overrides, "trainer=fsdp", "trainer.devices=1"), (*BERT.small, "trainer=cpu"))


def options(small: bool) -> Options:
    return Options(warmup=2, steps=4) if small else Options(warmup=20, steps=60)


def training(work: Work, small: bool, *, compiled: bool = False, encoder_size: str | None = None) -> dict[str, Any]:
    """Examples a second, the share of it that waits for data, operations a second and memory."""
    chosen = options(small)
    window = {"warmup": chosen.warmup, "steps": chosen.steps}
    with tempfile.TemporaryDirectory() as directory:
        given = [*work.given(small), f"trainer.compile={str(compiled).lower()}"]
        if encoder_size is not None:
            given.append(f"model.source={encoder.random(Path(directory) / 'encoder', tiny=small)}")
        run = ours.train(given, **window, directory=directory)
        seconds = ours.seconds_a_step(run, **window)
        config = run.config()
        return {
            "examples_per_second": config.data.batch_size / seconds,
            "input_share": loading(config, chosen.steps) / seconds,
            "flops_per_second": flops(config, given) / seconds,
            "peak_memory_gib": read_json(run.path / "metrics.json")["peak_memory_gib"],
        }


def loading(config: Any, batches: int) -> float:
    """Seconds a batch until it lies on the device, with nothing else at work."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loader = iter(ours.prepared(config).loader("train", seed=config.seed, rank=0, world=1))
    next(loader).to(device)
    start = timing.now()
    count = sum(1 for batch in islice(loader, batches) if batch.to(device, non_blocking=True) is not None)
    return (timing.now() - start) / count


def flops(config: Any, overrides: list[str], batches: int = 3) -> float:
    """Floating-point operations of a training step's matrix products, by counting some."""
    from torch.utils.flop_counter import FlopCounterMode

    from attnpred.training.train import prepare

    device = "cuda" if torch.cuda.is_available() else "cpu"
    data, learner = prepare(config)
    learner = learner.to(device)
    counter = FlopCounterMode(display=False)
    half = torch.autocast(device, torch.bfloat16, enabled=config.trainer.precision == "bf16-mixed")
    with counter, half:
        for batch in islice(data.loader("train", seed=config.seed, rank=0, world=1), batches):
            learner.step(batch.to(device)).backward()
    return counter.get_total_flops() / batches


def matrices(small: bool) -> dict[str, Any]:
    """Operations a second of a large product in bf16: what a program can reach; and the maker's figure, where known."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    side = SIDE[small]
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        a @ a
    start = timing.now()
    for _ in range(20):
        a @ a
    rate = 20 * 2 * side**3 / (timing.now() - start)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return {"flops_per_second": rate, "stated_peak": next((peak for key, peak in PEAKS.items() if key in name), None)}


def plain(side: Callable[[Options], dict[str, float]], small: bool) -> dict[str, Any]:
    if small:
        return {"left_out": "the plain loops read real data"}
    return {"examples_per_second": side(replace(options(small), examples=1000))["training"]}


def trainer(small: bool, *, compiled: bool = False) -> dict[str, Any]:
    """`transformers.Trainer` in bf16 on the same network, rows and batches."""
    if small:
        return {"left_out": "the peer reads real data"}
    with tempfile.TemporaryDirectory() as directory:
        source = encoder.random(Path(directory) / "encoder", tiny=small)
        return {
            "examples_per_second": encoder.trainer_rate(source, BERT.given(small), options(small), compiled=compiled)
        }


def time_to_goal(small: bool) -> dict[str, Any]:
    """Seconds of training until the recipe for CIFAR-10 first validates at GOAL, and its test accuracy."""
    with tempfile.TemporaryDirectory() as directory:
        run = launched([*RECIPE.given(small), f"output_dir={directory}"])
        lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
        begun = lines[0]["time"]
        reached = [line["time"] - begun for line in lines if line.get("val/accuracy", 0.0) >= GOAL]
        result = read_json(run.path / "metrics.json")
        return {
            "seconds_to_goal": reached[0] if reached else None,
            "seconds": result["seconds"],
            "test_accuracy": result["test"]["accuracy"],
        }


def resumes(small: bool, *, compiled: bool) -> dict[str, Any]:
    """Whether a run that is left after some steps and resumed has the weights of one that was not, bit for bit."""
    from attnpred.errors import Interrupted
    from attnpred.training import train
    from attnpred.training.learner import Learner
    from scripts.undisturbed import differences

    left = options(small).warmup + 1
    given = [*RESNET.given(small), f"trainer.compile={str(compiled).lower()}", "checkpoint.every_steps=1", "logger=csv"]
    given += ["trainer.attention_examples=0", f"trainer.max_steps={2 * left}"]
    step = Learner.training_step

    def leaves(self: Learner, batch: Any, batch_idx: int) -> Any:
        if self.trainer.global_step == left:
            raise Interrupted(2)
        return step(self, batch, batch_idx)

    with tempfile.TemporaryDirectory() as directory:
        whole = launched([*given, f"output_dir={directory}/whole"])
        Learner.training_step = leaves  # type: ignore[method-assign]
        try:
            launched([*given, f"output_dir={directory}/left"])
        except Interrupted:
            pass
        finally:
            Learner.training_step = step  # type: ignore[method-assign]
        (path,) = Path(directory, "left").glob("*/*")
        differ = differences(train.resume(Run(path)).path, whole.path)
        return {"differences": differ or None}


def launched(overrides: list[str]) -> Run:
    from attnpred.config import compose
    from attnpred.machine.process_setup import settle
    from attnpred.training.train import launch

    settle()
    return launch(compose.compose(overrides), overrides)


# The first parts matter most: the last ones are left out where time runs short
PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "matrices": matrices,
    "bert": partial(training, BERT, encoder_size="base"),
    "bert_compiled": partial(training, BERT, compiled=True, encoder_size="base"),
    "bert_peer": trainer,
    "cifar10_to_90": time_to_goal,
    "resnet_attention": partial(training, RESNET),
    "resnet_attention_compiled": partial(training, RESNET, compiled=True),
    "resnet_attention_peer": lambda small: plain(resnet_cifar10.plain_side, small),
    "transformer": partial(training, TRANSFORMER),
    "transformer_compiled": partial(training, TRANSFORMER, compiled=True),
    "transformer_peer": lambda small: plain(transformer_imdb.plain_side, small),
    "resume": partial(resumes, compiled=False),
    "resume_compiled": partial(resumes, compiled=True),
    "bert_peer_compiled": partial(trainer, compiled=True),
    "fsdp": partial(training, SHARDED, encoder_size="base"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="no part is begun after so many")
    parser.add_argument("--small", action="store_true", help="try all on made data, in some steps")
    parser.add_argument("--json", type=Path, default=RESULT, help="where the measurements go")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part is not None:
        harness.answer(lambda: PARTS[args.part](args.small))
        return 0
    if not args.small and not torch.cuda.is_available():
        raise SystemExit("no GPU is visible; --small tries every part on the CPU")
    end = time.monotonic() + args.seconds
    found: dict[str, Any] = {}
    for name in args.only:
        if time.monotonic() > end:
            found[name] = {"left_out": f"{args.seconds:.0f} seconds had passed"}
            continue
        start = time.monotonic()
        try:
            found[name] = harness.in_child(name, ["scripts.bench.gpu", "--part", name, *["--small"] * args.small], {})
        except harness.SideFailed as error:
            found[name] = {"failed": str(error)}
        found[name]["wall_seconds"] = time.monotonic() - start
        print(f"{name}: {json.dumps(found[name])[:300]}", file=sys.stderr, flush=True)
        write_json(args.json, {"parts": found, **origin()})
    return 1 if any("failed" in part for part in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
