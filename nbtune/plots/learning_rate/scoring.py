"""The score of a rate after every step, as it is drawn: what a race judges by at the ends of its rounds."""

from __future__ import annotations

import math

import numpy as np

from ..base.columns import Floats

LEAST_STEPS = 3
"""A score is the mean of the last third of the steps, and of no fewer than these."""


def begin_of(end: int) -> int:
    """Where the steps begin whose mean is the score after step ``end``."""
    return max(0, end - max(LEAST_STEPS, end // 3))


def scores_of(losses: Floats) -> Floats:
    """The mean of the last third at each step; of the first ones, of all there are.

    Examples:
        >>> scores_of(np.array([4.0, 2.0, 0.0, 0.0])).round(2).tolist()
        [4.0, 3.0, 2.0, 0.67]
    """
    ends = np.arange(1, len(losses) + 1)
    begins = np.maximum(0, ends - np.maximum(LEAST_STEPS, ends // 3))
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    with np.errstate(invalid="ignore"):  # inf − inf
        means = (sums[ends] - sums[begins]) / (ends - begins)
    means[np.isnan(means)] = math.inf
    return np.asarray(means)
