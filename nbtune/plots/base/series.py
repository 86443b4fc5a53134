"""By which colour, dash and marker one of several is known in every plot, so that it is never told by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """How one of several (a k, an optimizer) is told from the others, in the plot and at the head of its column.

    Attributes:
        key: k, or a name.
        slot: Its place in the figure: "low", "middle", "high", or "rest", which several share.
        token: Its colour.
        marker: "square", "circle" or "triangle".
        dash: "dashed", "solid" or "dotted".
        text: Such as "k = 32".
    """

    key: int | str
    slot: str
    token: str
    marker: str
    dash: str
    text: str

    @property
    def batch_size(self) -> int:
        """k, of those told apart by it."""
        assert isinstance(self.key, int)
        return self.key


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


def series_of_names(names: Sequence[str]) -> list[Series]:
    """One entry per name, in their order, told apart as sizes are; beyond the third, those between are grey."""
    return [_series(name, _slot(names, i, names[1] if len(names) > 1 else None)) for i, name in enumerate(names)]


def _slot(keys: Sequence[int | str], i: int, selected: int | str | None) -> str:
    if len(keys) == 1:
        return "middle"
    if i in (0, len(keys) - 1):
        return "low" if i == 0 else "high"
    return "middle" if len(keys) == 3 or keys[i] == selected else "rest"


def _series(key: int | str, slot: str) -> Series:
    return Series(key, slot, *LOOKS[slot], f"k = {key}" if isinstance(key, int) else key)
