"""What explanations of a trained run cost: time beside plain answers, memory beside a training step, a page to open.

    python -m scripts.explain_cost RUN

Memory is what torch allocates at the most for one batch of the run's evaluation size, above what it needs for the
batch's first example: it counts every tensor and is the same every time, which the process's own size is not.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.machine.process_setup import settle
from attnpred.runs.run import Run
from scripts import browser

PAIRS = 7
PAGE_EXAMPLES = 1000
STEP = "a step of training"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    args = parser.parse_args()
    settle()
    run = Run.find(args.run)
    batches = test_batches(run)
    ratios = attention_time(run, batches)
    print(
        f"attention: {statistics.median(ratios):.2f} x the time of answers without it "
        f"({min(ratios):.2f} to {max(ratios):.2f}, {PAIRS} pairs, {sum(map(len, batches))} examples of test)"
    )
    largest = max(batches, key=lambda batch: len(batch) * (getattr(batch.input, "tokens", batch.ids).shape[-1]))
    for name in (STEP, *compose.group_options("explainer")):
        found = memory(run, name, largest)
        print(f"{name}: {'no map for this model' if found is None else f'{found / 2**20:.1f} MiB'}")
    print(page(run))


def attention_time(run: Run, batches: list[Any]) -> list[float]:
    """The time of answers with attention over that of answers without, on the whole test split, in turns."""
    import torch

    from attnpred.machine.device import choose

    model = run.load_model().for_inference()
    autocast = choose(run.config().trainer).autocast

    def answer(need_attention: bool) -> float:
        started = time.perf_counter()
        with torch.inference_mode(), autocast():
            for batch in batches:
                model(batch, need_attention=need_attention, need_layers=False)
        return time.perf_counter() - started

    answer(True)
    return [answer(True) / answer(False) for _ in range(PAIRS)]


def test_batches(run: Run) -> list[Any]:
    return list(run.data(run.config()).loader("test"))


def memory(run: Run, name: str, batch: Any) -> int | None:
    """Bytes that the work on a batch adds to what it needs for its first example."""
    import torch

    try:
        work = step_of(run) if name == STEP else explanation_of(run, name)
    except UserError:
        return None
    single = batch.rows(torch.zeros(1, dtype=torch.long))
    work(single)  # gradients and the optimizer's state stay
    return allocated(work, batch) - allocated(work, single)


def allocated(work: Callable[[Any], Any], batch: Any) -> int:
    """The most bytes that tensors take at once while it works, beyond those that were there."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work(batch)
    told: Any = seen.profiler
    changes = [event for event in told.kineto_results.events() if event.name() == "[memory]"]
    changes.sort(key=lambda event: event.start_ns())
    return max(itertools.accumulate((event.nbytes() for event in changes), initial=0))


def step_of(run: Run) -> Callable[[Any], Any]:
    """Forward, backward and an optimizer step, in float32 as explanations are."""
    from attnpred.training import optimizers

    config = run.config()
    model = run.load_model().train()
    task = run.task()
    optimizer = optimizers.make(model, config.optimizer, fused=True)

    def work(batch: Any) -> None:
        seen = task.seen(batch)
        task.loss(model(seen), seen).backward()
        optimizer.step()

    return work


def explanation_of(run: Run, name: str) -> Callable[[Any], Any]:
    """Of the first class or number: what memory it needs does not depend on which is explained."""
    import torch

    from attnpred.explain.base import make

    explainer = make(name, run.load_model(), run.task())
    return lambda batch: explainer(batch, torch.zeros(len(batch), dtype=torch.long))


def page(run: Run) -> str:
    file = run.path / "explanations" / "cost.html"
    command = [sys.executable, "-m", "attnpred", "explain", str(run.path), "--split", "test", "--output", str(file)]
    subprocess.run([*command, "--limit", str(PAGE_EXAMPLES)], check=True, capture_output=True)
    size = file.stat().st_size / 2**20
    shown = opened(file)
    file.unlink()
    return f"a page of up to {PAGE_EXAMPLES:,} examples: {size:.1f} MiB, {shown}"


def opened(file: Path) -> str:
    """How long Chromium takes from being told the page's name until it is drawn."""
    if browser.executable() is None:
        return "opened by nobody: no Chromium is installed"
    with tempfile.TemporaryDirectory() as profile, closing(browser.Browser(Path(profile))) as window:
        seconds = []
        for _ in range(PAIRS):
            started = time.perf_counter()
            window.open(file.resolve())
            seconds.append(time.perf_counter() - started)
    return f"opens in {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}, {PAIRS} times)"


if __name__ == "__main__":
    main()
