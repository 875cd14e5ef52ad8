"""An exported folder at work: ONNX Runtime takes the reader's batches and gives answers and importance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnpred.contracts import ModelSpec
from attnpred.errors import NotInstalled, UserError
from attnpred.inference.export import described
from attnpred.inference.export.file_model import Ask, FileModel
from attnpred.inference.export.trusted import check_file
from attnpred.inference.predict import Predictor
from attnpred.machine.device import Chosen
from attnpred.runs.run import Run

CPU = Chosen("cpu", 1, "auto", "32-true", "ONNX Runtime has its own formats")


class Exported(Predictor):
    """A folder that `attnpred export` wrote, ready to answer: `Exported(path).answers(["a fine film"])`.

    `reader`, `task` and `model` are those of the run, but that the model is the exported file; `model(batch)` gives
    a `ModelOutput` for a batch of the reader's.
    """

    def __init__(self, directory: str | Path, *, threads: int | None = None, gpu: bool = False) -> None:
        """`threads`: how many one answer may use; None takes a thread a core."""
        run = Run(Path(directory))
        about = described.read(run.path)
        if about.format != "onnx":
            raise UserError(f"{directory}: holds a program of torch.export; export the run with --format onnx")
        self.about = about
        self.config = run.config()
        self.reader, self.task = run.reader(), run.task_alone(self.config)
        try:
            self.task.load_state(dict(about.task))
        except ValueError as error:
            raise UserError(f"{run.path / described.FILE}: {error}; restore the file") from None
        self.chosen, self.mirror = CPU, False
        self.size, self.explainers = self.config.data.eval_batch_size, {}
        spec = ModelSpec(self.reader.specs, self.task.answer)
        ask = asking(open_file(run.path / about.file, threads, gpu=gpu), about.outputs)
        self.model = FileModel(self.config.model, spec, ask, about).eval()


def open_file(file: Path, threads: int | None = None, *, gpu: bool = False) -> Any:
    """An inference session of the file, once it is known to reach for nothing outside its folder."""
    try:
        import onnxruntime
    except ImportError:
        raise NotInstalled(str(file), "onnxruntime", "export") from None
    check_file(file)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave others their core
    if threads is not None:
        options.intra_op_num_threads = threads
    providers = ["CUDAExecutionProvider"] * gpu + ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # of types of its own, none of which tells a broken file from a missing operator
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: ONNX Runtime cannot read it ({reason}); export the run again") from None


def asking(session: Any, outputs: tuple[str, ...]) -> Ask:
    """The session as a function of tensors."""

    def ask(given: Mapping[str, Tensor]) -> list[Tensor]:
        found = session.run(list(outputs), {name: value.numpy() for name, value in given.items()})
        return [torch.from_numpy(value) for value in found]

    return ask
