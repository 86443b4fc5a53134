"""What a figure shows at one moment, as columns of numbers and short lists of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class View:
    """All that changes in a figure while something runs.

    Attributes:
        columns: Source name → column name → float64 array or short list of strings. Sources that are not named stay
            as they are.
        y_range: Bottom and top of the y axis.
        label: The result in words, for those who cannot see the plot.
        x_range: Left and right of the x axis; None leaves the figure's own.
    """

    columns: dict[str, Columns]
    y_range: tuple[float, float]
    label: str
    x_range: tuple[float, float] | None = None


def floats(values: Iterable[float | None]) -> Floats:
    """A column; None becomes NaN."""
    return np.array(list(values), dtype=np.float64)


def table(rows: Sequence[Sequence[float]], names: Sequence[str]) -> Columns:
    """Rows as named columns, also where there are none."""
    numbers = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    return {name: numbers[:, i].copy() for i, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class WordAt:
    """A word or a number at a place in data units."""

    x: float
    y: float
    text: str
    align: str = "left"
    is_bold: bool = False


def placed_words(words: Iterable[WordAt], *, size: int = 12, box_alpha: float = 0.0) -> Columns:
    """The columns of ``marks.LABEL`` for words that stand where they are put, all of one size in px."""
    words = list(words)
    return {
        "x": floats(word.x for word in words),
        "y": floats(word.y for word in words),
        "text": [word.text for word in words],
        "align": [word.align for word in words],
        "weight": ["bold" if word.is_bold else "normal" for word in words],
        "size": [f"{size}px" for _ in words],
        "box_alpha": floats(box_alpha for _ in words),
    }
