"""What a descent is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...formats import format_lr
from ..checks import MOST, choice, number, whole_number
from .surfaces import SAMPLES, SURFACES, Surface, lr_limit

DEFAULT_SHARE = 1.14
"""Of the limit: at this η one sees the path fly off."""

_WHOLE = {"batch_size": (1, MOST), "steps": (1, 1000), "seed": (0, MOST)}


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
        object.__setattr__(self, "surface", choice("surface", self.surface, SURFACES))
        if self.lr is None:
            object.__setattr__(self, "lr", float(format_lr(DEFAULT_SHARE * self.limit)))
        object.__setattr__(self, "lr", number("lr", self.lr, above=0))
        for name, (least, most) in _WHOLE.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least=least, most=most))
        if SAMPLES % self.batch_size:
            raise ValueError(f"batch_size must divide {SAMPLES} samples: 1, 2, 4 … {SAMPLES}, not {self.batch_size}")

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

        Raises:
            ValueError: For a share that is no number above 0.

        Examples:
            >>> DescentSettings().at_share(0.72).lr
            0.12
        """
        return replace(self, lr=float(format_lr(number("share", share, above=0) * self.limit)))
