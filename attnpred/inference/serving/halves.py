"""A predictor that answers small batches fast: half the digits where training multiplied in them, and short batches."""

import copy

import torch

from attnpred.inference.predict import Predictor
from attnpred.models.halves import MULTIPLIED, halve

FORMATS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
TOKENS = 2048  # of texts that a CPU takes at once: like lengths together, so that little of it is padding


def ready(predictor: Predictor) -> None:
    """Has the predictor answer small batches fast, and as before. Explainers go on with the exact weights."""
    spec = getattr(predictor.reader, "spec", None)
    longest = getattr(spec, "max_length", None)
    if longest is not None and predictor.chosen.device_type == "cpu":
        predictor.size = min(predictor.size, max(TOKENS // longest, 8))
    half = FORMATS.get(predictor.chosen.precision)
    if half is None:
        return
    predictor.exact, predictor.model = predictor.model, copy.deepcopy(predictor.model)
    levels = predictor.model.levels()[:-1]  # heads are small, and some read their own weights
    inside = [module for level in levels for outer in level for module in outer.modules()]
    others = [module for module in predictor.model.modules() if not isinstance(module, MULTIPLIED)]
    shared = {id(p) for module in others for p in module.parameters(recurse=False)}
    halve((one for one in inside if not any(id(p) in shared for p in one.parameters(recurse=False))), half)
