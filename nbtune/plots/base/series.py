"""By which colour, dash and marker a k is known in every plot, so that it is never told by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """How one k is told from the others, in the plot and at the head of its column.

    Attributes:
        batch_size: k.
        slot: Its place in the figure: "low", "middle", "high", or "rest", which several share.
        token: Its colour.
        marker: "square", "circle" or "triangle".
        dash: "dashed", "solid" or "dotted".
        text: Such as "k = 32".
    """

    batch_size: int
    slot: str
    token: str
    marker: str
    dash: str
    text: str


LOOKS = {
    "low": ("series2", "square", "dashed"),
    "middle": ("data", "circle", "solid"),
    "high": ("series3", "triangle", "dotted"),
    "rest": ("axis", "circle", "solid"),
}
"""Slot → token, marker and dash."""

DASHES: dict[str, tuple[float, ...]] = {"dashed": (9, 4), "solid": (), "dotted": (3, 3)}


def series_of_sizes(sizes: Sequence[int], selected: int | None = None) -> list[Series]:
    """One entry per k, in rising k.

    The smallest k is purple, the largest ochre, one between them blue: of three the middle one, of more the selected;
    the rest are grey. Of two there is no middle, and one alone is blue.

    Args:
        sizes: Rising.
        selected: Told from the rest where there are more than three.
    """
    return [_series(k, _slot(sizes, i, selected)) for i, k in enumerate(sizes)]


def _slot(sizes: Sequence[int], i: int, selected: int | None) -> str:
    if len(sizes) == 1:
        return "middle"
    if i in (0, len(sizes) - 1):
        return "low" if i == 0 else "high"
    return "middle" if len(sizes) == 3 or sizes[i] == selected else "rest"


def _series(k: int, slot: str) -> Series:
    return Series(k, slot, *LOOKS[slot], f"k = {k}")
