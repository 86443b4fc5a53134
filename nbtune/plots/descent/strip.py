"""The figure of three descents' losses, step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import FixedTicker
from bokeh.plotting import figure

from ...formats import format_loss
from ..base.frame import bare_figure, sources_of, style_axes
from ..base.labels import LINE_PX, Label, Placed, apart, place, text_px
from ..base.tokens import FONT, themed
from .view import FAMILIES, TEXT_TOKENS, TINY, Columns, DescentView, family_of

if TYPE_CHECKING:
    from ...engine.descent.path import DescentPath

HEIGHT = 122
FRAME = (420.0, 72.0)
"""Width and height of the frame in px, at the least width."""

Y_RANGE = (1e-5, 5e4)
Y_TICKS, Y_TEXTS = [1e-4, 1.0, 1e4], ["1e-4", "1", "1e4"]
ROOM = 1.2
"""Of the steps: the rest is for the labels at the ends."""

NAMES = ("small", "good", "yours")
SOURCES: dict[str, tuple[str, ...]] = {
    **{f"line_{family}": ("x", "y") for family in ("small", "good", *FAMILIES)},
    **{f"labels_{family}": ("x", "y", "text") for family in FAMILIES},
}
COLOURS = {"small": "data", "good": "answer", **{family: family for family in FAMILIES}}
"""Line → token; the reader's own has one line for each thing that it may do."""


def strip_figure(steps: int) -> figure:
    """An empty figure over the steps of a descent; ``fill`` or a browser gives it data."""
    fig = bare_figure(
        HEIGHT, (0.0, ROOM * steps), Y_RANGE, y_axis_type="log", min_border_left=50, min_border_right=6,
        min_border_top=4,
    )  # fmt: skip
    sources = sources_of(SOURCES)
    for name, token in COLOURS.items():
        dash: Any = [6, 3] if name == "danger" else "solid"
        line = fig.line("x", "y", source=sources[f"line_{name}"], line_width=2.6, line_dash=dash)
        themed(line.glyph, line_color=token)
    look: dict[str, Any] = {
        "text_font": value(FONT), "text_font_size": "12px", "text_font_style": "bold", "text_baseline": "middle",
        "padding": (0, 2),
    }  # fmt: skip
    for family in FAMILIES:
        words = fig.text("x", "y", "text", source=sources[f"labels_{family}"], x_offset=6, **look)
        themed(words.glyph, text_color=TEXT_TOKENS[family])
    style_axes(fig, [1])
    fig.xaxis[0].update(ticker=FixedTicker(ticks=step_ticks(steps)), axis_label="step", axis_label_standoff=0)
    fig.yaxis[0].update(ticker=FixedTicker(ticks=Y_TICKS), axis_label="loss", axis_label_standoff=4)
    fig.yaxis[0].major_label_overrides = dict(zip(Y_TICKS, Y_TEXTS, strict=True))
    return fig


def step_ticks(steps: int) -> list[int]:
    """Five ticks or fewer, at round numbers of steps.

    Examples:
        >>> step_ticks(40), step_ticks(1)
        ([0, 10, 20, 30, 40], [0, 1])
    """
    every = next(e for e in (1, 2, 5, 10, 25, 50, 100, 250) if steps / e <= 4)
    return list(range(0, steps + 1, every))


def strip_view(paths: Sequence[DescentPath], until: int | None = None) -> DescentView:
    """Every mark of the figure.

    Args:
        paths: A small η's, a good one's and the reader's own.
        until: Show this many steps; None for all.
    """
    small, good, yours = (_line(path, until) for path in paths)
    family = family_of(paths[2])
    nothing = np.empty((0, 2))
    lines = {"small": small, "good": good, **{name: yours if name == family else nothing for name in FAMILIES}}
    columns: dict[str, Columns] = {
        f"line_{name}": {"x": line[:, 0].copy(), "y": line[:, 1].copy()} for name, line in lines.items()
    }
    families = ("data", "answer", family)
    placed = _placed(paths, families, (small, good, yours))
    columns |= {f"labels_{name}": _label_columns(placed, name, ROOM * paths[0].settings.steps) for name in FAMILIES}
    return DescentView(columns, (0.0, ROOM * paths[0].settings.steps), Y_RANGE, _in_words(paths, until))


def _line(path: DescentPath, until: int | None) -> Any:
    """Steps and losses, cut where the line leaves the frame."""
    steps = path.steps[: None if until is None else until + 1]
    logs = np.log(np.maximum([step.loss for step in steps], TINY))
    low, high = np.log(Y_RANGE)
    outside = np.flatnonzero((logs < low) | (logs > high))
    x = np.arange(len(logs), dtype=np.float64)
    if len(outside):
        last = int(outside[0])
        edge = low if logs[last] < low else high
        x, logs = x[: last + 1], logs[: last + 1].copy()
        x[last] -= (logs[last] - edge) / (logs[last] - logs[last - 1])
        logs[last] = edge
    return np.column_stack([x, np.exp(logs)])


def _placed(paths: Sequence[DescentPath], families: Sequence[str], lines: Sequence[Any]) -> list[Placed]:
    """At the lines' ends; those that meet there are moved apart, the uppermost line's on top."""
    last = [(line[-1][0], line[-1][1]) for line in lines]
    ends = [_px(x, y, ROOM * path.settings.steps) for path, (x, y) in zip(paths, last, strict=True)]
    texts = [f"{'yours: ' if path is paths[2] else ''}η = {path.rate_text}" for path in paths]
    labels = []
    for i in range(len(paths)):
        near = [j for j in range(len(paths)) if _touch(ends[i][0], texts[i], ends[j][0], texts[j])]
        rows = dict(zip(near, apart([ends[j][1] for j in near], LINE_PX, FRAME[1]), strict=True))
        labels.append(Label(texts[i], families[i], ((ends[i][0], rows[i], "left"),), bold=True))
    # Wider than the frame: how far a label may go to the right depends on the view's width.
    return place(labels, 2 * FRAME[0], FRAME[1])


def _touch(x: float, text: str, other_x: float, other_text: str) -> bool:
    """Whether the label further left reaches the other one's end."""
    return abs(x - other_x) < text_px(text if x < other_x else other_text, bold=True) or x == other_x


def _px(step: float, loss: float, steps: float) -> tuple[float, float]:
    low, high = math.log(Y_RANGE[0]), math.log(Y_RANGE[1])
    return step / steps * FRAME[0], (high - math.log(loss)) / (high - low) * FRAME[1]


def _label_columns(placed: Sequence[Placed], family: str, steps: float) -> Columns:
    chosen = [label for label in placed if label.label.colour == family]
    low, high = math.log(Y_RANGE[0]), math.log(Y_RANGE[1])
    return {
        "x": np.array([label.x / FRAME[0] * steps for label in chosen]),
        "y": np.array([math.exp(high - label.y / FRAME[1] * (high - low)) for label in chosen]),
        "text": [label.label.text for label in chosen],
    }


def _in_words(paths: Sequence[DescentPath], until: int | None) -> str:
    words = []
    for path in paths:
        steps = path.steps[: None if until is None else until + 1]
        words.append(f"{format_loss(steps[-1].loss)} for η = {path.rate_text} at step {steps[-1].index}")
    return f"Loss against step: {', '.join(words)}."
