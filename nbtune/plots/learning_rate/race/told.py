"""The answer of a race in one plain line, and what is folded away behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...base.sentence import Told
from .standing import standing_of

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve


@dataclass(frozen=True, slots=True)
class RaceTold:
    """The answer in words.

    Attributes:
        line: Verdict, and of the evidence what the picture shows; the limit as well, where there is doubt.
        why: Sentences for those who ask: rule, factor, peak, theory.
        is_sure: Whether there is an answer without doubt.
    """

    line: Told
    why: tuple[str, ...]
    is_sure: bool


def told_of(curve: LRCurve) -> RaceTold:
    """The words of a race."""
    is_sure = standing_of(curve, (), running=False).is_sure
    if not is_sure:
        line = Told(curve.verdict, curve.reason, curve.limit)
        return RaceTold(line, tuple(filter(None, [curve.theory])), is_sure)
    # What several orders of the data said of each other is in the picture: a band, and a tick for each.
    first, _, rest = (curve.reason, "", "") if curve.orders else curve.reason.partition("; ")
    rest = f"{rest[:1].upper()}{rest[1:]}"
    line = Told(curve.verdict, f"{first.rstrip('.')}.")
    return RaceTold(line, tuple(filter(None, [rest, curve.limit, curve.theory])), is_sure)
