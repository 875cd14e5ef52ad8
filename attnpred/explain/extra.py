"""What a page shows beside a run's own maps: another run on the same inputs, and training examples that are alike."""

from typing import Any

import torch

from attnpred.config.options import Config
from attnpred.contracts import Batch
from attnpred.errors import UserError
from attnpred.explain.base import look
from attnpred.explain.prototypes import SEARCHED, Prototypes
from attnpred.modalities.reader import Describe
from attnpred.models.base import Model
from attnpred.runs.run import Run
from attnpred.tasks.base import Task

BESIDE = "beside"
TOKENIZER = "tokenizer.json"


class Extra:
    """Adds to the examples of a story what was asked for."""

    def __init__(
        self, run: Run, config: Config, model: Model, task: Task, device: str, beside: Run | None, prototypes: int
    ) -> None:
        self.reader: Any = run.reader()
        self.beside, self.many = beside, prototypes
        self.other = None if beside is None else like_of(run, beside, "--beside").to(device)
        self.other_task = None if beside is None else beside.task()
        self.prototypes: Prototypes | None = None
        if prototypes:
            sample = run.data(config).loader("train").sample(SEARCHED)
            self.prototypes = Prototypes(model, task, self.reader, sample, device)

    def explainers(self) -> list[dict[str, Any]]:
        """The other run's attention, as a story lists explainers."""
        if self.beside is None:
            return []
        about = f"Attention of another run, {'/'.join(self.beside.path.resolve().parts[-2:])}."
        return [{"name": BESIDE, "signed": False, "about": about, "milliseconds": None}]

    def added(self, examples: list[dict[str, Any]], batch: Batch, describe: Describe) -> list[dict[str, Any]]:
        if self.prototypes is not None:
            near = self.prototypes.nearest(batch, self.many)
            examples = [{**one, "prototypes": some} for one, some in zip(examples, near, strict=True)]
        if self.other is None or self.other_task is None:
            return examples
        with torch.no_grad():
            output, attention = look(self.other, batch, layers=False)
        maps = self.reader.maps(self.reader.of(batch), attention.importance, attention, describe)
        said = [self.other_task.headline(described)[0] for described in self.other_task.describe(output)]
        found = []
        for example, values, answer in zip(examples, maps, said, strict=True):
            if len(values) != len(next(iter(example["maps"].values()))):
                raise UserError("--beside: that run cuts inputs into other parts; give one with parts like these")
            found.append({**example, "maps": {**example["maps"], BESIDE: values}, "beside": answer})
        return found


def like_of(run: Run, other: Run, flag: str) -> Model:
    """The model of another run, which must read and answer the same as this one."""
    mine, theirs = run.load_model(), other.load_model()
    tokens = [run.path / TOKENIZER, other.path / TOKENIZER]
    alike = [file.read_bytes() if file.is_file() else b"" for file in tokens]
    if mine.spec != theirs.spec or run.task().spec != other.task().spec or alike[0] != alike[1]:
        raise UserError(f"{flag} {other.path}: reads or answers something else than {run.path}; give a run of its data")
    return theirs
