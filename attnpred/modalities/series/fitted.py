"""A whole series brought to the length that a model reads."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.modalities.series.batch import SeriesSpec
from attnpred.modalities.series.store import filled


def fitted(values: NDArray[Any], spec: SeriesSpec) -> NDArray[np.float32]:
    """(moments, variables) -> (variables, length), standardised: the last moments, behind the mean if few."""
    even = ((values[-spec.length :] - np.array(spec.mean)) / np.array(spec.deviation)).astype(np.float32).T
    even = filled(even, np.isnan(even), np.array([0, even.shape[1]]))
    whole = np.zeros((even.shape[0], spec.length), np.float32)
    if even.shape[1]:
        whole[:, -even.shape[1] :] = even
    return whole
