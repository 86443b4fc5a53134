"""Gradient descent on a surface over two weights, with all data or with mini-batches of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...formats import format_lr
from ..plain_data import json_ready
from . import rules as descent_rules
from .rules import Outcome
from .surfaces import SAMPLES, SURFACES, Surface, lr_limit

FAR = 1e6
"""A weight this large ends a descent: its loss would soon be no number."""

DEFAULT_SHARE = 1.14
"""Of the limit: at this η one sees the path fly off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentSettings:
    """A descent.

    Attributes:
        surface: A name in ``SURFACES``: "bowl", "narrow valley" or "two minima".
        lr: η. None for one a little above the limit 2/λmax.
        batch_size: k, samples per step, from 1 to 64 without a remainder: 64 is all data, and no noise.
        steps: At most, from 1 to 1,000.
        seed: Of the order in which the samples are drawn.
    Raises:
        TypeError, ValueError: For values outside these limits.
    """

    surface: str = "narrow valley"
    lr: float | None = None
    batch_size: int = SAMPLES
    steps: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        if self.surface not in SURFACES:
            raise ValueError(f"surface must be one of {', '.join(SURFACES)}, not {self.surface!r}")
        if self.lr is None:
            object.__setattr__(self, "lr", float(format_lr(DEFAULT_SHARE * self.limit)))
        _check_lr(self.lr)
        for name in ("batch_size", "steps", "seed"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < (name != "seed"):
                raise ValueError(f"{name} must be a whole number from {int(name != 'seed')} up, not {value!r}")
        if SAMPLES % self.batch_size:
            raise ValueError(f"batch_size must divide {SAMPLES} samples: 1, 2, 4 … {SAMPLES}, not {self.batch_size}")
        if self.steps > 1000:
            raise ValueError(f"steps must be at most 1000, not {self.steps}")

    @property
    def landscape(self) -> Surface:
        """The surface itself."""
        return SURFACES[self.surface]

    @property
    def limit(self) -> float:
        """2/λmax at the minimum nearest to the start."""
        return lr_limit(self.landscape)

    @property
    def rate(self) -> float:
        """η, which is never None once the settings are made."""
        assert self.lr is not None
        return self.lr

    def at_share(self, share: float) -> DescentSettings:
        """The same with η at this part of the limit, in two digits.

        Examples:
            >>> DescentSettings().at_share(0.72).lr
            0.12
        """
        return replace(self, lr=float(format_lr(share * self.limit)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentStep:
    """The weights after a step.

    Attributes:
        index: How many steps were taken; 0 is the start.
        w1, w2: The weights.
        loss: Over all samples.
    """

    index: int
    w1: float
    w2: float
    loss: float


def descend(settings: DescentSettings | None = None) -> Iterator[DescentStep]:
    """Plain gradient descent, w ← w − η·(mean gradient of k samples), from the surface's start.

    Sample i has the loss L(w) + w·εᵢ, and the 64 fixed εᵢ sum to exactly 0: so L is the mean loss of all, and a step
    with k = 64 exact gradient descent. Each epoch draws the samples in a new order, without replacement.

    Args:
        settings: None for the defaults.
    Yields:
        The start and then every step, fewer where a weight exceeds ``FAR``.
    """
    settings = settings or DescentSettings()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentPath:
    """What is known of a descent, a pure fold of its events (see ``from_steps``).

    Attributes:
        settings: Those it was made with.
        steps: The start and every step taken.
        outcome: "arrives" (from some step on, the loss is within 1 % of the way down of a minimum), "jumps over" (the
            same, in another minimum than the nearest), "flies off", "bounces" (from side to side, and has not
            arrived), "wanders" (the noise keeps it from arriving) or "creeps".
        arrives_at: The step from which on it is there; None where it does not arrive.
        leaves_at: The first step outside the picture; None where all are inside.
        lr_limit: 2/λmax at the minimum nearest to the start.
        verdict, reason, limit: The answer, its evidence and its limit in words.
    """

    settings: DescentSettings
    steps: tuple[DescentStep, ...]
    outcome: Outcome
    arrives_at: int | None
    leaves_at: int | None
    lr_limit: float
    verdict: str
    reason: str
    limit: str

    @classmethod
    def from_steps(cls, steps: Iterable[DescentStep], *, settings: DescentSettings | None = None) -> DescentPath:
        """The result of any number of events, so that a stopped descent is a valid, shorter one."""
        settings = settings or DescentSettings()
        steps = tuple(steps)
        answer = descent_rules.answer(steps, settings)
        return cls(
            settings=settings, steps=steps, outcome=answer.outcome, arrives_at=answer.arrives_at,
            leaves_at=answer.leaves_at, lr_limit=settings.limit, verdict=answer.verdict, reason=answer.reason,
            limit=answer.limit,
        )  # fmt: skip

    @classmethod
    def of(cls, settings: DescentSettings | None = None) -> DescentPath:
        """The whole descent.

        Examples:
            >>> DescentPath.of(DescentSettings(surface="bowl", lr=1.0)).arrives_at
            1
        """
        return cls.from_steps(descend(settings), settings=settings)

    @property
    def rate_text(self) -> str:
        """η in as many digits as tell it from the limit."""
        return descent_rules.format_rate(self.settings)

    def until(self, index: int) -> DescentPath:
        """Its first ``index`` steps."""
        return DescentPath.from_steps(self.steps[: index + 1], settings=self.settings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema``, the settings, the answer and the steps as rows."""
        settings = {name: getattr(self.settings, name) for name in ("surface", "lr", "batch_size", "steps", "seed")}
        names = ("outcome", "arrives_at", "leaves_at", "lr_limit", "verdict", "reason", "limit")
        rows = [[step.index, step.w1, step.w2, step.loss] for step in self.steps]
        plain = {"kind": "descent_path", "schema": 1, "settings": settings, "steps": rows}
        return json_ready({**plain, **{name: getattr(self, name) for name in names}})  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        taken = max(0, len(self.steps) - 1)
        return (
            f"DescentPath({self.settings.surface}, k = {self.settings.batch_size}, {taken} steps, {self.outcome})\n"
            f"  {self.verdict}: {self.reason}"
        )


def _check_lr(lr: Any) -> None:
    if not isinstance(lr, Real) or isinstance(lr, bool):
        raise TypeError(f"lr must be a number, not {lr!r}")
    if not (math.isfinite(lr) and float(lr) > 0):
        raise ValueError(f"η must be a number above 0, not {lr!r}")
