import io
import re
from contextlib import nullcontext
from itertools import pairwise

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from torch.utils.data import DataLoader, TensorDataset

from attnpred.training.callbacks import progress
from attnpred.training.callbacks.progress import Progress


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def lines(self):
        return self.getvalue().splitlines()

    def states(self):
        """What a terminal would have shown, one after the other."""
        return [part.strip() for part in re.split(r"[\r\n]+", self.getvalue()) if part.strip()]


class Tiny(LightningModule):
    def __init__(self, fail_at=None):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        self.fail_at = fail_at

    def training_step(self, batch, batch_idx):
        if self.global_step == self.fail_at:
            raise RuntimeError("broken")
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch, batch_idx):
        pass

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class FakeMonitor(Callback):
    def __init__(self):
        self.latest = {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.latest |= {"train/loss": 0.41234, "examples_per_second": 1234.4}

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.latest |= {"val/accuracy": 0.871, "val/loss": 0.5}


@pytest.fixture
def ticking(monkeypatch):
    """A clock that goes on by one second whenever it is read."""
    now = iter(range(10**9))
    monkeypatch.setattr(progress, "monotonic", lambda: float(next(now)))


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def loader(examples):
    return DataLoader(TensorDataset(torch.randn(examples, 4)), batch_size=2)


def run(terminal, *, model=None, bar=None, test=False, validation=6, more=(), resume=None, **options):
    stream, monitor = Stream(terminal), FakeMonitor()
    every_seconds = options.pop("every_seconds", 10.0)
    bar = bar or Progress(monitor, stream, every_seconds)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[monitor, bar, *more],
        **{"max_epochs": 2, "num_sanity_val_steps": 0, **options},
    )
    with pytest.raises(RuntimeError, match="broken") if model else nullcontext():
        if test:
            trainer.test(Tiny(), loader(20), verbose=False)
        else:
            trainer.fit(model or Tiny(), loader(20), loader(validation) if validation else None, ckpt_path=resume)
    return stream


def test_off_terminal_a_line_after_each_validation_and_seldom_otherwise():
    lines = run(terminal=False, every_seconds=1e6).lines()
    assert len(lines) == 3
    assert lines[0] == "epoch 1/2  step 1/20  loss 0.412  1,234 examples/s"
    validated = r"loss 0\.412  val/accuracy 0\.871  val/loss 0\.500  1,234 examples/s"
    assert re.fullmatch(rf"epoch 1/2  step 10/20  {validated}  \d+:\d\d left", lines[1])
    assert re.fullmatch(rf"epoch 2/2  step 20/20  {validated}", lines[2])


def test_of_many_metrics_the_watched_one_and_the_first_are_shown():
    monitor, stream = FakeMonitor(), Stream(False)
    monitor.latest = {f"val/{name}": 0.5 for name in "abcdefgh"} | {"val/accuracy": 0.9}
    bar = Progress(monitor, stream)
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_model_summary=False, max_epochs=1)
    bar._show(bar._training(trainer, 0.0, all_measured=True))
    names = re.findall(r"val/(\w+)", stream.lines()[0])
    assert names == ["a", "b", "c", "d", "e", "accuracy"]
    assert "and 3 more" in stream.lines()[0]


def test_off_terminal_lines_keep_their_distance(ticking):
    # every batch reads the clock once or, where it writes, a few times more
    often = run(terminal=False, every_seconds=0.0, validation=0).lines()
    seldom = run(terminal=False, every_seconds=8.0, validation=0).lines()
    assert len(often) == 20
    assert 2 <= len(seldom) <= 4
    assert all("\r" not in line for line in often)


def test_on_a_terminal_one_line_is_rewritten(ticking, wide):
    stream = run(terminal=True)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    states = stream.states()
    assert states[-1] == "epoch 2/2  step 20/20  loss 0.412  val/accuracy 0.871  1,234 examples/s"
    assert any(state == "epoch 1/2  step 10/20  validating 2/3" for state in states)
    assert any(re.search(r"step 5/20 .* \d+:\d\d left$", state) for state in states)


def test_a_shorter_state_wipes_the_longer_one(ticking, wide):
    parts = run(terminal=True).getvalue().strip("\r\n").split("\r")
    for before, after in pairwise(parts):
        assert len(after) >= len(before.rstrip())


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_fits_a_narrow_terminal(columns, ticking, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    states = run(terminal=True).states()
    assert max(len(state) for state in states) < columns
    assert states[-1].startswith("epoch" if columns == 60 else "step 20/20")


def test_time_left_counts_steps_since_the_first_shown(monkeypatch, wide):
    bar = Progress(FakeMonitor(), Stream(False))
    bar._total_steps = 110

    class At:
        max_epochs, global_step = 2, 10

    assert "left" not in bar._training(At, 1000.0)
    At.global_step = 20
    assert bar._training(At, 1005.0)["left"] == "0:45 left"


def test_testing_is_shown_and_leaves_a_clean_line(ticking):
    stream = run(terminal=True, test=True)
    assert "testing 3/10" in stream.states()
    assert not any("epoch" in state for state in stream.states())
    assert stream.getvalue().endswith("\n")
    assert run(terminal=False, test=True, every_seconds=0.0).lines()[0] == "testing 1/10"


def test_sanity_check_of_validation_is_not_a_validation(ticking):
    lines = run(terminal=False, num_sanity_val_steps=2, every_seconds=0.0).lines()
    assert lines[:2] == ["validating 1/2", "validating 2/2"]
    assert "step 1/20" in lines[2]


@pytest.mark.parametrize("terminal", [True, False])
def test_an_exception_leaves_a_clean_line(terminal, ticking):
    text = run(terminal=terminal, model=Tiny(fail_at=5)).getvalue()
    assert "step 5/20" in text or not terminal
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_resumed_within_an_epoch(tmp_path, ticking, wide):
    class Save(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.global_step == 15:
                trainer.save_checkpoint(tmp_path / "half.ckpt")

    run(terminal=True, more=[Save()])
    states = run(terminal=True, resume=tmp_path / "half.ckpt").states()
    assert states[0].startswith("epoch 2/2  step 16/20")
    assert states[-1].startswith("epoch 2/2  step 20/20")


def test_unknown_length(ticking, wide):
    states = run(terminal=True, max_epochs=-1, max_steps=12, validation=0).states()
    assert states[-1].startswith("epoch 2  step 12/12")


def test_accumulated_batches_are_one_step(ticking, wide):
    states = run(terminal=True, accumulate_grad_batches=5).states()
    assert states[-1].startswith("epoch 2/2  step 4/4")


def test_disabled_says_nothing_and_enabled_speaks_again(ticking):
    stream = Stream(True)
    bar = Progress(FakeMonitor(), stream)
    bar.disable()
    run(terminal=True, bar=bar)
    assert stream.getvalue() == ""
    bar.enable()
    run(terminal=True, bar=bar)
    assert "step 20/20" in stream.getvalue()


def test_other_processes_are_silent():
    class OtherRank:
        is_global_zero = False

    stream = Stream(False)
    bar = Progress(FakeMonitor(), stream)
    bar.setup(OtherRank, None, "fit")
    bar.enable()
    bar.print("hello")
    bar._show({"step": "step 1"})
    assert stream.getvalue() == ""


def test_printing_does_not_tear_the_line(capsys):
    stream = Stream(True)
    bar = Progress(FakeMonitor(), stream)
    bar._show({"step": "step 1"})
    bar.print("hello")
    assert stream.getvalue() == "\rstep 1\nhello\n"
    assert capsys.readouterr().out == ""


def test_lightning_adds_no_bar_of_its_own():
    bar = Progress(FakeMonitor(), Stream(False))
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[bar])
    assert [c for c in trainer.callbacks if isinstance(c, ProgressBar)] == [bar]
    assert trainer.progress_bar_callback is bar


def test_a_step_that_shows_nothing_only_looks_at_the_clock():
    class Untouchable:
        def __getattr__(self, name):
            raise AssertionError(f"read {name}")

    bar = Progress(Untouchable(), Stream(False))
    bar._due = float("inf")
    bar.on_train_batch_end(Untouchable(), Untouchable(), Untouchable(), Untouchable(), 0)
