"""Scales of colour: a number has one colour everywhere, per theme. Today one, for η; it never rescales."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

ETA = "eta"
ETA_RANGE = (1e-5, 10.0)
"""η of the first and the last colour; what lies beyond has that of the end."""

# One every half of a decade. In OKLab lightness rises evenly from end to end, so greyscale keeps the order, and so do
# protan, deutan and tritan readers; on the weakest surface in use the contrast is 3.48 : 1 at the least.
_STOPS = {
    "light": (
        "#2629C5", "#5227B9", "#6D23AD", "#841DA2", "#951797", "#A3188B", "#AD2280", "#B33074", "#B54067", "#B45059",
        "#B06147", "#AA7030", "#A07F08",
    ),
    "dark": (
        "#526EE9", "#7175E3", "#8C7BDD", "#A580D7", "#BA86D0", "#CD8DC9", "#DD95C2", "#EB9FBA", "#F5AAB1", "#FCB7A8",
        "#FFC6A0", "#FFD69E", "#FFE49D",
    ),
}  # fmt: skip

BETWEEN = 8
"""Shades from one of these to the next."""


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float64)


def _blended(stops: Sequence[str]) -> tuple[str, ...]:
    parts = [
        _rgb(a) + (_rgb(b) - _rgb(a)) * step / BETWEEN for a, b in pairwise(stops) for step in range(BETWEEN)
    ]  # fmt: skip
    return tuple("#" + "".join(f"{round(c):02X}" for c in rgb) for rgb in [*parts, _rgb(stops[-1])])


SCALES: dict[str, dict[str, tuple[str, ...]]] = {theme: {ETA: _blended(stops)} for theme, stops in _STOPS.items()}
"""Theme → name of a scale → its shades. Such a name stands where a token may, for marks that say by which column."""


def shades_of(values: Iterable[float], scale: str = ETA, theme: str = "light") -> list[str]:
    """The colour of each value, as Bokeh's logarithmic mapper chooses it.

    Examples:
        >>> shades_of([1e-5, 1e-2, 10.0, 1e3])
        ['#2629C5', '#AD2280', '#A07F08', '#A07F08']
    """
    shades = SCALES[theme][scale]
    low, high = np.log(ETA_RANGE)
    places = (np.log(np.asarray(list(values), dtype=np.float64)) - low) / (high - low) * len(shades)
    return [shades[i] for i in np.clip(np.floor(places), 0, len(shades) - 1).astype(int)]
