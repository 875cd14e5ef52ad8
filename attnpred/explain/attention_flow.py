"""Attention flow (Abnar and Zuidema 2020): how much can stream from the answer to each part, at most.

Layers are pipes as wide as their weights, averaged over heads, with half of each on the path around it. Every part is
asked about by itself, which takes long for long inputs.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.explain.base import Explainer, look, own_parts
from attnpred.models.attention import normalise

UNIT = 1_000_000  # of a pipe's width: flows are counted in whole numbers


@dataclass(kw_only=True)
class AttentionFlowConfig(ExplainerConfig):
    """Options of attention flow."""


class AttentionFlow(Explainer):
    inside: ClassVar[bool] = True

    @torch.no_grad()
    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        _, attention = look(self.model, batch, layers=True, choice=choice)
        assert attention.read is not None
        read = attention.read.float().cpu().numpy()  # (batch, positions)
        layers = [_pipes(weights) for weights in attention.layers]  # (batch, query, key) each
        parts = attention.importance.shape[1]
        own = own_parts(batch, attention.grids)
        flows = torch.zeros(len(batch), parts)
        for row in range(len(batch)):
            mine = range(parts) if own is None else own[row].nonzero()[:, 0].tolist()
            before = read.shape[1] - parts  # positions that are no part of the input
            found = _flows(read[row], [pipes[row] for pipes in layers], [before + part for part in mine])
            flows[row, list(mine)] = torch.tensor(found, dtype=torch.float32)
        return normalise(flows.to(attention.importance.device), own)


def _pipes(weights: Tensor) -> NDArray[np.float32]:
    """(batch, heads, query, key) -> (batch, query, key): of gates, which mix nothing, a diagonal."""
    mean = weights.float().mean(1)
    if mean.shape[1] == 1:
        return torch.diag_embed(mean[:, 0]).cpu().numpy()
    return (0.5 * (mean + torch.eye(mean.shape[2], device=mean.device))).cpu().numpy()


def _flows(read: NDArray[np.float32], layers: list[NDArray[np.float32]], ends: list[int]) -> list[float]:
    """The greatest flow from the answer to each of the positions `ends` before the first layer."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    width = len(read)
    nodes = 1 + width * (len(layers) + 1)  # the answer, then the positions behind the last layer, and so on down
    pipes = np.zeros((nodes, nodes), dtype=np.int32)
    pipes[0, 1 : 1 + width] = np.round(read * UNIT)
    for depth, weights in enumerate(reversed(layers)):
        above, below = 1 + depth * width, 1 + (depth + 1) * width
        pipes[above : above + width, below : below + width] = np.round(weights * UNIT)
    graph = csr_array(pipes)
    return [float(maximum_flow(graph, 0, nodes - width + end).flow_value) / UNIT for end in ends]
