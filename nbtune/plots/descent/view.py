"""What the figures of descents show at one moment, in columns and in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...formats import format_loss, format_lr
from ..base.columns import Columns, View
from .contours import contours_of

if TYPE_CHECKING:
    from ...engine.descent.path import DescentPath
    from ...engine.descent.surfaces import Surface

FAMILIES = ("data", "answer", "danger")
"""Kinds of paths, each named by its token: on its way, arrived, too large an η."""

TEXT_TOKENS = {"data": "data", "answer": "answer_text", "danger": "danger_text"}

NOTE_PX = 100.0
FRAME = (205.0, 130.0)
"""Width and height of a frame in px, at the least width."""

TINY = 1e-300


def family_of(path: DescentPath) -> str:
    """What a path's colour, dash and marker say of it."""
    if path.outcome == "flies off" or path.settings.rate > path.lr_limit:
        return "danger"
    return "answer" if path.outcome == "arrives" else "data"


def path_title(path: DescentPath, name: str = "", until: int | None = None) -> str:
    """What stands over a path, such as "good: η = 0.12, arrives"; on its way, how far it is."""
    head = f"{name}: " if name else ""
    is_over = until is None or until >= len(path.steps) - 1
    return f"{head}η = {path.rate_text}, {path.outcome if is_over else f'step {until}'}"


def path_view(path: DescentPath, until: int | None = None, family: str = "") -> View:
    """Every mark of a path.

    Args:
        path: The whole of it.
        until: Show this many steps; None for all.
        family: To draw it as one of these; by default as what it does.
    """
    surface = path.settings.landscape
    steps = path.steps[: None if until is None else until + 1]
    points = np.array([(step.w1, step.w2) for step in steps], dtype=np.float64).reshape(-1, 2)
    leaves_at = path.leaves_at if path.outcome == "flies off" and len(steps) > (path.leaves_at or math.inf) else None
    if leaves_at is not None:
        points = points[: leaves_at + 1].copy()
        points[-1] = _at_edge(points[-2], points[-1], surface)
    dots = points[1:] if leaves_at is None else points[1:-1]
    chosen = family or family_of(path)
    empty = points[:0]
    columns = {f"path_{name}": _xy(points if name == chosen else empty) for name in FAMILIES}
    columns |= {f"dots_{name}": _xy(dots if name == chosen else empty) for name in FAMILIES}
    columns |= {"contours": contours_of(surface), "minima": _xy(np.array(surface.minima))}
    columns |= {"start": _xy(points[:1]), "note": _note(surface, points[-1], leaves_at)}
    return View(columns, surface.y_range, _in_words(path, len(steps) - 1, leaves_at), surface.x_range)


def _at_edge(inside: Any, outside: Any, surface: Surface) -> Any:
    """Where the way from one point to the other crosses the frame."""
    shares = [1.0]
    for axis, (low, high) in enumerate((surface.x_range, surface.y_range)):
        way = outside[axis] - inside[axis]
        if way:
            shares.append(((high if way > 0 else low) - inside[axis]) / way)
    return inside + min(share for share in shares if share >= 0) * (outside - inside)


def _note(surface: Surface, edge: Any, leaves_at: int | None) -> Columns:
    """Beside where the path leaves, within the frame."""
    if leaves_at is None:
        return {"x": [], "y": [], "text": [], "align": []}
    px_x = (surface.x_range[1] - surface.x_range[0]) / FRAME[0]
    px_y = (surface.y_range[1] - surface.y_range[0]) / FRAME[1]
    is_left = edge[0] + (NOTE_PX + 12) * px_x < surface.x_range[1]
    y = min(max(float(edge[1]), surface.y_range[0] + 12 * px_y), surface.y_range[1] - 12 * px_y)
    x = float(edge[0]) + (10 if is_left else -10) * px_x
    text, align = f"leaves at step {leaves_at}", "left" if is_left else "right"
    return {"x": np.array([x]), "y": np.array([y]), "text": [text], "align": [align]}


def _xy(points: Any) -> Columns:
    return {"x": points[:, 0].copy(), "y": points[:, 1].copy()}


def _in_words(path: DescentPath, taken: int, leaves_at: int | None) -> str:
    w1, w2 = path.settings.landscape.start
    words = f"Path from ({_number(w1)}, {_number(w2)}). At η = {path.rate_text} it"
    if leaves_at is not None:
        return f"{words} leaves the picture at step {leaves_at}."
    end = path.steps[taken]
    where = f"({_number(end.w1)}, {_number(end.w2)}), loss {format_loss(end.loss)}"
    if taken < len(path.steps) - 1:
        return f"{words} is at {where} after step {taken}."
    return f"{words} {path.outcome}: after {taken} steps it is at {where}."


def _number(weight: float) -> str:
    return format_lr(weight, 3).replace("-", "−") if abs(weight) >= 0.01 else "0"
