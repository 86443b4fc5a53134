"""What a descent is asked to do."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from ...formats import format_lr
from ..checks import whole_number
from .surfaces import SAMPLES, SURFACES, Surface, lr_limit

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
            whole_number(name, getattr(self, name), least=int(name != "seed"))
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


def _check_lr(lr: Any) -> None:
    if not isinstance(lr, Real) or isinstance(lr, bool):
        raise TypeError(f"lr must be a number, not {lr!r}")
    if not (math.isfinite(lr) and float(lr) > 0):
        raise ValueError(f"η must be a number above 0, not {lr!r}")
