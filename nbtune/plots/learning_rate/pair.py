"""Two figures side by side, of the same height: those of a race, and those of a search over batch sizes."""

from __future__ import annotations

from collections.abc import Mapping

from ...formats import format_lr
from ..base.columns import View
from ..base.marks import Axis, Panel, Part
from ..base.scale import EMPTY_RANGE, at_most, decades, x_edges

HEIGHT = 256
FRAME_HEIGHT = 204.0
NARROW_BELOW = 400
FRAME_WIDTHS = {"labels": 344.0, "narrow_labels": 256.0}
"""px of either frame: labels are placed at the least width of their kind, from ``NARROW_BELOW`` px of figure up, and in
half of the narrowest panel that holds the two side by side. More room only parts them."""

LEFT, RIGHT = {"left": 48, "top": 6, "right": 4}, {"left": 48, "top": 6, "right": 14}
"""Borders of the live figures."""

PLACES = ((52, 346), (466, 338))
"""Left edge and width of the frames in a picture, px."""


def rates_axis(lr_min: float, lr_max: float) -> Axis:
    """η in half of the stage."""
    # Half the width of a sweep's plot.
    ticks = at_most(decades(lr_min, lr_max), 7)
    return Axis(
        "learning rate η (log scale)", x_edges(lr_min, lr_max), is_log=True, ticks=ticks,
        texts=tuple(map(format_lr, ticks)),
    )  # fmt: skip


def loss_axis(held_out: bool) -> Axis:
    """Loss; it keeps its title in a narrow view."""
    return Axis("held-out loss" if held_out else "training loss", EMPTY_RANGE, has_line=False)


def side_by_side(panels: Mapping[str, Panel], views: Mapping[str, View]) -> list[Part]:
    """Both in a picture ``HEIGHT`` px high."""
    return [
        Part(panel, views[name], (left, 6, width, HEIGHT - 52))
        for (name, panel), (left, width) in zip(panels.items(), PLACES, strict=True)
    ]
