"""Where metrics go: metrics.jsonl always, and what the `logger` group asks for."""

import json
import os
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.utilities import rank_zero_only

from attnpred.config import compose, schema
from attnpred.config.describe import describe as described
from attnpred.config.options import Config, LoggerConfig, OtherLoggerConfig
from attnpred.console.secrets import scrub, shown
from attnpred.errors import NotInstalled, UserError
from attnpred.files import named, plain_json, to_disk
from attnpred.runs import events
from attnpred.runs.tensorboard import TensorBoard

METRICS = "metrics.jsonl"
# W&B would keep the command line, paths, the state of a repository and what the terminal shows
UNTOLD = {"x_disable_meta": True, "console": "off", "disable_git": True, "disable_code": True, "save_code": False}


class MetricsFile(Logger):
    """metrics.jsonl: an object a line, as soon as it is logged."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> int:
        return 0

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = {key: value for key, value in metrics.items() if key != "epoch"}
        line = {"step": step, "epoch": int(metrics.get("epoch", 0)), "time": round(time.time(), 3), **values}
        with named(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """config.yaml holds them already."""

    def rows(self) -> list[dict[str, Any]]:
        return list(rows(self.path, None))


def rows(file: Path, size: int | None) -> Iterator[dict[str, Any]]:
    """The objects in the first `size` bytes of a file of metrics, or in all of it."""
    if not file.is_file():
        return
    with file.open("rb") as stream:
        for number, line in enumerate(stream.read(-1 if size is None else size).splitlines(), 1):
            try:
                row = plain_json(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise UserError(f"{file}, line {number}: no object of JSON; remove the line, or restore the file")
            yield row


def make(options: LoggerConfig, directory: Path) -> list[Logger]:
    """The loggers of a run. What is not chosen is not imported."""
    loggers: list[Logger] = [MetricsFile(directory / METRICS)]
    if options.csv:
        loggers.append(CSVLogger(directory, name="", version=""))
    if options.tensorboard:
        _hush_writer()
        loggers.append(TensorBoard(directory))
    if options.wandb:
        from pytorch_lightning.loggers import WandbLogger

        loggers.append(
            WandbLogger(
                directory.name,
                save_dir=directory,
                project=options.project,
                offline=options.offline,
                id=directory.name,
                resume="allow",
                settings=UNTOLD,
            )
        )
    if options.mlflow:
        from pytorch_lightning.loggers import MLFlowLogger

        tracking = options.tracking_uri or f"sqlite:///{(directory / 'mlflow.db').resolve()}"
        tags = {"mlflow.source.name": "attnpred"}  # in place of where the program lies, below somebody's home
        loggers.append(MLFlowLogger(options.project, run_name=directory.name, tracking_uri=tracking, tags=tags))
    return [*loggers, *(_other(name, one)(one, directory) for name, one in options.others.items())]


def _other(name: str, options: OtherLoggerConfig) -> Any:
    """The class of a package's logger."""
    place = f"logger.others.{name}._target_"
    found = schema.load(options._target_, place)
    if not issubclass(found, Logger):
        raise UserError(f"{place}={options._target_}: is no Logger of Lightning's; derive it from that")
    return found


def _hush_writer() -> None:
    """TensorBoard's thread tells an error of the disk to whoever logs next; its traceback would come on top."""
    usual = threading.excepthook
    if getattr(usual, "hushes_writer", False):
        return

    def hook(met: threading.ExceptHookArgs) -> None:
        if not (isinstance(met.exc_value, OSError) and type(met.thread).__name__ == "_AsyncWriterThread"):
            usual(met)

    hook.hushes_writer = True  # type: ignore[attr-defined]
    threading.excepthook = hook


def check(options: LoggerConfig) -> None:
    """Refuses a logger that cannot be imported, before anything is prepared for it."""
    for name, asked in (("wandb", options.wandb), ("mlflow", options.mlflow)):
        if asked and find_spec(name) is None:
            raise NotInstalled(f"logger.{name}=true", name, name)
    for name, other in options.others.items():
        _other(name, other)


def keep(loggers: list[Logger]) -> dict[str, int]:
    """Brings what was logged so far to the disk, before a checkpoint that counts on it; how long each file is."""
    for logger in loggers:
        if isinstance(logger, TensorBoard):
            logger.flush()
    sizes = {}
    for directory in (logger.path.parent for logger in loggers if isinstance(logger, MetricsFile)):
        for file in _records(directory):
            to_disk(file)
            sizes[file.relative_to(directory).as_posix()] = file.stat().st_size
    return sizes


def cut(directory: Path, sizes: Mapping[str, int]) -> None:
    """Forgets what was logged after `keep` returned these sizes; no logger may have a file open."""
    for file in _records(directory):
        size = sizes.get(file.relative_to(directory).as_posix(), 0)
        if not size:
            file.unlink()
        elif file.stat().st_size > size:
            os.truncate(file, size)


def _records(directory: Path) -> list[Path]:
    """What only grows. The table is written anew each time, from metrics.jsonl."""
    return [file for file in (directory / METRICS, *events.files(directory)) if file.is_file()]


def go_on(loggers: list[Logger]) -> None:
    """Gives the table its earlier rows, which its logger would begin anew."""
    tables = [logger for logger in loggers if isinstance(logger, CSVLogger)]
    records = next((logger for logger in loggers if isinstance(logger, MetricsFile)), None)
    for table in tables:
        assert records is not None
        table.experiment.metrics = [{k: v for k, v in row.items() if k != "time"} for row in records.rows()]


def tensorboard(loggers: list[Logger]) -> Any | None:
    """TensorBoard's writer, where it is switched on."""
    return next((logger.experiment for logger in loggers if isinstance(logger, TensorBoard)), None)


def describe(loggers: list[Logger], config: Config) -> None:
    """The config as text beside the curves."""
    writer = tensorboard(loggers)
    if writer is not None:
        # each on one line, where indentation keeps it from being read as Markdown
        lines = "\n".join(f"    {o.path}: {shown(scrub(schema.show(o.value)))}" for o in described(config))
        writer.add_text("config", lines)


def hyperparameters(loggers: list[Logger], config: Config, overrides: list[str], result: dict[str, Any]) -> None:
    """Fills the HPARAMS tab, once, with what was chosen and how the run ended."""
    flat = {option.path: option.value for option in described(config)}
    given = dict(override.lstrip("+").partition("=")[::2] for override in overrides)
    named = [name for name in given if name not in ("output_dir", "data.cache_dir")]
    everyday = ["seed", "optimizer.lr", "data.batch_size", "trainer.max_epochs"]
    chosen = {"model": compose.file_of(config.model._target_), "data": config.data.name}
    groups = {name: given[name] for name in named if name not in flat}  # such as optimizer=sgd
    chosen = scrub(groups | chosen | {name: flat[name] for name in [*everyday, *named] if name in flat})
    # names of their own: TensorBoard would draw them into the curves of the same name, at step 0
    best = result.get("val", {}).get("best", {})
    results = {f"result/val/{name}": best[name] for name in config.task.measured() if name in best}
    results |= {
        f"result/test/{name}": result["test"][name] for name in config.task.measured() if name in result["test"]
    }
    for who, scores in result.get("attention", {}).get("scores", {}).items():
        results |= {f"result/{who}/{score}": values[0] for score, values in scores.items()}
    for logger in loggers:
        if isinstance(logger, TensorBoard):
            logger.log_hyperparams(chosen, results)
            logger.finalize("success")  # the thread that writes would end with the process, whatever it still holds
        elif not isinstance(logger, CSVLogger | MetricsFile):
            logger.log_hyperparams(chosen)
