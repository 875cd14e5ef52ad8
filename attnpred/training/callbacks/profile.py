"""Where the time of some steps goes."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.profilers import PassThroughProfiler
from torch.profiler import ProfilerActivity, profile, schedule, supported_activities

from attnpred.console.say import say

SKIPPED, WARMUP, STEPS = 5, 2, 10


class Profile(Callback):
    """Writes `profile/operations.txt`, a table, and `profile/trace.json`, for Perfetto or chrome://tracing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "profile"
        self.profiler: profile | None = None

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        activities = supported_activities() & {ProfilerActivity.CPU, ProfilerActivity.CUDA}
        course = schedule(wait=SKIPPED, warmup=WARMUP, active=STEPS, repeat=1)
        self.profiler = profile(activities=activities, schedule=course, on_trace_ready=self._write)
        self.profiler.start()

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.profiler is not None:
            self.profiler.step()

    def on_train_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if self.profiler is not None:
            self.profiler.stop()
            self.profiler = None

    def _write(self, profiler: profile) -> None:
        self.directory.mkdir(exist_ok=True)
        order = "self_cuda_time_total" if profiler.use_device == "cuda" else "self_cpu_time_total"
        table = profiler.key_averages().table(sort_by=order, row_limit=40, max_name_column_width=80)
        (self.directory / "operations.txt").write_text(table, encoding="utf-8")
        profiler.export_chrome_trace(str(self.directory / "trace.json"))
        say(f"profile of {STEPS} steps: {self.directory / 'operations.txt'}")


class Unprofiled(PassThroughProfiler):
    """Lightning's own makes a context anew for each of a step's hundred measurements, to measure nothing."""

    nothing = nullcontext()

    def profile(self, action_name: str) -> Any:
        return self.nothing
