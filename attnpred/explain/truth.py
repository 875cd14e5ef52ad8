"""How far an explanation finds the evidence that is known to have decided a label."""

import torch
from torch import Tensor


def scores(importance: Tensor, evidence: Tensor) -> dict[str, Tensor]:
    """importance and evidence (batch, parts) -> one number an example that has evidence.

    `pointing`: 1 where the most important part is evidence. `precision_recall`: the area under the curve of parts
    taken from the most important down. `overlap`: intersection over union of the evidence with as many parts.
    """
    some = evidence.any(1)
    importance, evidence = importance[some].float(), evidence[some]
    order = importance.argsort(dim=1, descending=True, stable=True)
    hit = evidence.gather(1, order).float()  # (examples, parts), from the most important down
    count = evidence.sum(1).float()
    rank = torch.arange(1, hit.shape[1] + 1, device=hit.device)
    precision = hit.cumsum(1) / rank
    within = (hit * (rank <= count[:, None])).sum(1)
    return {
        "pointing": hit[:, 0],
        "precision_recall": (precision * hit).sum(1) / count,
        "overlap": within / (2 * count - within),
    }
