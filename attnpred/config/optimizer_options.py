"""The options of optimizer and schedule, and which classes and functions they may name.

What torch has is read from its files: torch itself need not be imported to answer a typo.
"""

import ast
import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnpred.config import packages, slices
from attnpred.config.schema import Invalid, option
from attnpred.errors import suggest

OWN = ("adamw", "sgd", "muon")
SCHEDULES = ("constant", "linear", "cosine", "onecycle", "wsd")
TORCH = "torch.optim"


@functools.cache
def of_torch() -> tuple[str, ...]:
    """The names of torch's optimizers."""
    spec = importlib.util.find_spec("torch")
    file = Path(spec.origin).parent / "optim" / "__init__.py" if spec and spec.origin else None
    body = ast.parse(file.read_bytes()).body if file and file.is_file() else []
    imported = (alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names)
    return tuple(sorted(name for name in imported if name[0].isupper() and name != "Optimizer"))


@dataclass(kw_only=True)
class OptimizerConfig:
    name: str = option(
        "Algorithm: adamw, sgd (with Nesterov momentum), or muon (for hidden matrices and kernels, adamw then for "
        "the rest). Or a class of torch.optim such as RAdam, or the dotted name of a class in a package."
    )
    arguments: dict[str, Any] = option(
        "Further arguments of a class of torch.optim or of a package, by name.", default={}
    )
    lr: float = option("Highest learning rate.", gt=0)
    weight_decay: float = option("Decay of matrices; norms, biases and embeddings have none.", ge=0)
    momentum: float = option("Momentum, or the first of two betas, where the algorithm has such.", ge=0, lt=1)
    beta2: float = option("Second of two betas, where the algorithm has such.", ge=0, lt=1)
    hold_norm: bool = option(
        "What muon moves keeps the norm that it started with, and a step is 20 times the rate of it. So the rate "
        "alone decides how far it turns. For networks that norm what comes of each.",
        default=False,
    )
    layer_decay: float = option("What each lower layer's rate is multiplied by; 1 gives all the same.", gt=0, le=1)
    ema: float | None = option(
        "Decay of a moving average of the weights, which is validated, tested and kept; null keeps none.", gt=0, lt=1
    )
    epochs: int = option(
        "Passes over the data that these settings are made for; trainer.max_epochs follows.", ge=1, le=1_000_000
    )
    schedule: str = option(
        "Course of the learning rate after warm-up: constant, linear, cosine, onecycle, or wsd, which holds it "
        "and falls at the end. Or the dotted name of a package's function that alone says the whole course."
    )
    warmup: float = option("Share of the run in which the rate rises.", ge=0, lt=1)
    decay: float = option("Share of the run at whose end wsd lets the rate fall.", gt=0, le=1)
    final: float = option("Rate at the end, as a share of the highest.", ge=0, le=1)

    def target(self) -> str | None:
        """The dotted name of the class that moves the weights; None where it is one of ours."""
        if self.name in OWN:
            return None
        return f"{TORCH}.{self.name}" if self.name in of_torch() else self.name

    def check(self) -> None:
        self._check_name()
        if self.arguments and self.target() is None:
            raise Invalid(
                "arguments", f"are for classes of torch.optim or of packages, not for {self.name}; leave it out"
            )
        if self.schedule not in SCHEDULES:
            if "." not in self.schedule:
                known = [*SCHEDULES]
                expected = f"one of {', '.join(known)}, or the dotted name of a function of a package"
                raise Invalid("schedule", f"must be {expected}{suggest(self.schedule, known)}")
            slices.check(self.schedule, "optimizer.schedule")
        if self.hold_norm and self.name != "muon":
            raise Invalid("hold_norm", f"is what muon can do, not {self.name}; set it to false, or name=muon")
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise Invalid("decay", f"leaves no time beside warmup={self.warmup}; together they are 1 at most")

    def _check_name(self) -> None:
        target = self.target()
        if target is None or target.removeprefix(f"{TORCH}.") in of_torch():
            return
        if packages.DOTTED.fullmatch(target) and not target.startswith("torch."):
            slices.check(target, "optimizer.name")
            return
        known = [*OWN, *of_torch()]
        expected = f"one of {', '.join(OWN)}, a class of torch.optim, or the dotted name of a class of a package"
        same = [f"; did you mean {name}?" for name in known if name.lower() == self.name.rpartition(".")[2].lower()]
        raise Invalid("name", f"must be {expected}{same[0] if same else suggest(target, known)}")
