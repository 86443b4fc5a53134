"""Gradient descent on a surface over two weights, with all data or with mini-batches of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..checks import instance
from .events import DescentStep
from .settings import DescentSettings
from .surfaces import SAMPLES, Surface

FAR = 1e6
"""A weight this large ends a descent: its loss would soon be no number."""


def descend(settings: DescentSettings | None = None) -> Iterator[DescentStep]:
    """Plain gradient descent, w ← w − η·(mean gradient of k samples), from the surface's start.

    Sample i has the loss L(w) + w·εᵢ, and the 64 fixed εᵢ sum to exactly 0: so L is the mean loss of all, and a step
    with k = 64 exact gradient descent. Each epoch draws the samples in a new order, without replacement.

    Args:
        settings: None for the defaults.
    Yields:
        The start and then every step, fewer where a weight exceeds ``FAR``.
    """
    settings = instance("settings", settings, DescentSettings) or DescentSettings()
    surface = settings.landscape
    w1, w2 = surface.start
    yield _step(surface, 0, w1, w2)
    noise = _noise(settings)
    for index in range(1, settings.steps + 1):
        (g1, g2), (e1, e2) = surface.gradient(w1, w2), next(noise)
        # The bounds keep every number finite, at any η.
        w1, w2 = (_bounded(w - settings.rate * float(g)) for w, g in ((w1, g1 + e1), (w2, g2 + e2)))
        yield _step(surface, index, w1, w2)
        if max(abs(w1), abs(w2)) >= FAR:
            return


def _step(surface: Surface, index: int, w1: float, w2: float) -> DescentStep:
    return DescentStep(index=index, w1=w1, w2=w2, loss=float(surface.loss(w1, w2)))


def _bounded(weight: float) -> float:
    return min(max(weight, -FAR), FAR)


@lru_cache(maxsize=1)
def sample_noise() -> NDArray[np.float64]:
    """The εᵢ, of standard deviation about 1, shape (64, 2); part of the data, so the same in every descent.

    Pairs of opposite numbers in steps of 1/64: sums of them are exact, and that of all is 0.
    """
    half = np.random.default_rng(4).standard_normal((SAMPLES // 2, 2))
    half = np.round(64 * half / half.std(axis=0)) / 64
    return np.concatenate([half, -half])


def _noise(settings: DescentSettings) -> Iterator[tuple[float, float]]:
    """Each step's mean of its samples' εᵢ, epoch after epoch."""
    rng, samples = np.random.default_rng(settings.seed), sample_noise()
    while True:
        order = rng.permutation(SAMPLES).reshape(-1, settings.batch_size)
        yield from (settings.landscape.noise * samples[order].mean(axis=1)).tolist()
