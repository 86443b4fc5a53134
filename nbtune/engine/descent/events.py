"""What a descent yields."""

from __future__ import annotations

from dataclasses import dataclass

from ..plain_data import check_event


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

    def __post_init__(self) -> None:
        check_event(self)
