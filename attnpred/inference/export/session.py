"""An exported folder at work: ONNX Runtime takes the reader's batches and gives answers and importance."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attnpred.contracts import Attention, Batch, ModelOutput, ModelSpec
from attnpred.errors import NotInstalled, UserError
from attnpred.inference.export import described
from attnpred.inference.export.described import Described
from attnpred.inference.export.trusted import check_file
from attnpred.inference.export.wrapped import tensors_of
from attnpred.inference.predict import Predictor
from attnpred.machine.device import Chosen
from attnpred.models.base import Model
from attnpred.models.chain import Chain
from attnpred.runs.run import Run

CPU = Chosen("cpu", 1, "auto", "32-true", "ONNX Runtime has its own formats")


class OnnxModel(Model):
    """The exported file as a model. It tells no layers and has no gradients, and explains its usual choice alone."""

    def __init__(self, config: Any, spec: ModelSpec, session: Any, about: Described) -> None:
        super().__init__(config, spec)
        self.session, self.about = session, about

    def entrance(self) -> nn.Module:
        raise UserError("an export has no gradients; take the explainer attention or occlusion, or the run itself")

    @torch.no_grad()
    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        answered = self.session.run(list(self.about.outputs), feeds_of(batch, self.about))
        found = dict(zip(self.about.outputs, map(torch.from_numpy, answered), strict=True))
        return output_of(found, self.about)


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
            raise UserError(
                f"{directory}: holds a program of torch.export; export the run with --format onnx to run it"
            )
        self.about = about
        self.config = run.config()
        self.reader, self.task = run.reader(), run.task_alone(self.config)
        try:
            self.task.load_state(dict(about.task))
        except ValueError as error:
            raise UserError(f"{run.path / described.FILE}: {error}; restore the file") from None
        self.chosen, self.mirror = CPU, False
        self.size, self.explainers, self.watch = self.config.data.eval_batch_size, {}, None
        spec = ModelSpec({self.reader.name: self.reader.spec}, self.task.answer)
        self.model = OnnxModel(
            self.config.model, spec, open_file(run.path / about.file, threads, gpu=gpu), about
        ).eval()


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


def feeds_of(batch: Batch, about: Described) -> dict[str, Any]:
    """A batch's tensors as ONNX Runtime takes them."""
    given = tensors_of(batch.inputs)
    return {name: _as(given[name], values["type"]).numpy() for name, values in about.inputs.items()}


def output_of(found: dict[str, Tensor], about: Described) -> ModelOutput:
    """What the file gave, by name, as a model would have given it."""
    answered, numbers = found.get("answered"), found.get("numbers")
    chain = None if numbers is None or answered is None else Chain(numbers, found["steps"], answered)
    attention = Attention(found["importance"], (), about.grids)
    return ModelOutput(found["answer"], attention, answered, chain)


def _as(value: Tensor, kind: str) -> Tensor:
    wanted = getattr(torch, kind, None)
    if not isinstance(wanted, torch.dtype):
        raise UserError(f"{kind}: no number format that is known; export the run again")
    return value.to(wanted).contiguous()
