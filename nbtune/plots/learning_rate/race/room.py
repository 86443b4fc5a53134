"""Where things stand in the three plots of a race: px that do not depend on what is drawn."""

from __future__ import annotations

HEIGHT = 304
FRAME_HEIGHT = 248.0
HEAD_PX = 22.0
"""The heading row, above all losses."""

FOOT_PX = 12.0
"""Below all losses: the strip of colours, and the suggestion's diamond on it."""

STRIP_ROWS = (FRAME_HEIGHT - 9.0, FRAME_HEIGHT - 4.0)
HEAD_ROW = 10.0

NARROW_BELOW = 300
FRAME_WIDTHS = {"labels": 250.0, "narrow_labels": 220.0}
"""px of the frames left and right: labels are placed at the least width of their kind. More room only parts them."""

LIST_WIDTH = 200
"""Of the standings, which are as wide everywhere."""

LEFT = {"left": 46, "top": 6, "right": 0, "bottom": 50}
MIDDLE = {"left": 0, "top": 6, "right": 0, "bottom": 50}
RIGHT = {"left": 34, "top": 6, "right": 14, "bottom": 50}
"""Borders of the live figures."""

PLACES = {"course": (52, 256), "standings": (308, LIST_WIDTH), "scores": (542, 264)}
"""Left edge and width of the frames in a picture, px."""


def frame_ends(low: float, high: float, sign: int) -> tuple[float, float]:
    """Ends of the frame in which the losses from ``low`` to ``high`` have heading and foot, the lower first.

    A view whose ``sign`` is −1 will be turned over: its foot is then above.
    """
    of_px = (high - low) / (FRAME_HEIGHT - HEAD_PX - FOOT_PX)
    below, above = (FOOT_PX, HEAD_PX) if sign > 0 else (HEAD_PX, FOOT_PX)
    return low - below * of_px, high + above * of_px


def at_row(row: float, ends: tuple[float, float], sign: int) -> float:
    """The loss that is seen ``row`` px below the upper edge of a frame with these ends."""
    bottom, top = ends
    of_px = (top - bottom) / FRAME_HEIGHT
    return top - row * of_px if sign > 0 else bottom + row * of_px


def rate_ends(lr_min: float, lr_max: float) -> tuple[float, float]:
    """Ends of the η axis: room for half a mark beside those of a range."""
    margin = (lr_max / lr_min) ** 0.028
    return lr_min / margin, lr_max * margin
