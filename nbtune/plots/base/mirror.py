"""A plot of losses that are minus the user's own numbers, turned so that these are shown: higher is better there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .columns import Columns, View
from .marks import Axis, Mark, Panel

UPRIGHT = ("y", "y0", "y1", "loss", "held_out")
"""Columns of numbers on the loss axis."""

ENDS = (("low", "high"), ("bottom", "top"))
"""Pairs of them, the lower first."""

HIGHER = "higher is better"
TURNED = {"triangle": "inverted_triangle"}


def mirrored(view: View, sign: int) -> View:
    """``view`` with all that lies on its y axis turned over.

    Words keep their places beside what they name, since a mirror changes no distance.

    Args:
        view: Of losses that are lowered.
        sign: −1 to turn it over, 1 to leave it as it is.
    """
    if sign > 0:
        return view
    bottom, top = view.y_range
    columns = {name: _turned(columns) for name, columns in view.columns.items()}
    return replace(view, columns=columns, y_range=(-top, -bottom), label=f"{view.label} For the loss, {HIGHER}.")


def mirrored_panel(panel: Panel, sign: int) -> Panel:
    """A panel for mirrored views: the axis says the direction, and what left the frame at the top leaves below."""
    if sign > 0:
        return panel
    marks = tuple(_turned_mark(mark) if isinstance(mark, Mark) else mark for mark in panel.marks)
    return replace(panel, marks=marks, y=mirrored_axis(panel.y))


def mirrored_axis(axis: Axis) -> Axis:
    """With the direction in its title."""
    return replace(axis, title=with_direction(axis.title, -1))


def with_direction(title: str, sign: int) -> str:
    """An axis's title; where higher is better, it says so."""
    return title if sign > 0 or not title else f"{title} ({HIGHER})"


def off_scale(sign: int) -> str:
    """What the triangles at the edge of the frame are."""
    return f"{'▲' if sign > 0 else '▼'} off the scale"


def _turned_mark(mark: Mark) -> Mark:
    # Only what points out of the frame: a series is known by its marker.
    return replace(mark, marker=TURNED.get(mark.marker, mark.marker)) if mark.source == "off" else mark


def _turned(columns: Mapping[str, Any]) -> Columns:
    made = dict(columns)
    for name in UPRIGHT:
        if name in made:
            made[name] = -np.asarray(made[name], dtype=np.float64)
    for low, high in ENDS:
        if low in made and high in made:
            made[low], made[high] = (-np.asarray(made[end], dtype=np.float64) for end in (high, low))
    return made
