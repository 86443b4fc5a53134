"""The figure of three descents' losses, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.plotting import figure

from ...formats import format_loss
from ..base.columns import Columns, View
from ..base.labels import LINE_PX, Frame, Label, Placed, apart, place, text_px
from ..base.live import live
from ..base.marks import Axis, Mark, Marks, Panel, Words
from .view import FAMILIES, TEXT_TOKENS, TINY, family_of

if TYPE_CHECKING:
    from ...engine.descent.path import DescentPath

HEIGHT = 122
FRAME = (420.0, 72.0)
"""Width and height of the frame in px, at the least width."""

Y_RANGE = (1e-5, 5e4)
Y_TICKS, Y_TEXTS = (1e-4, 1.0, 1e4), ("1e-4", "1", "1e4")
ROOM = 1.2
"""Of the steps: the rest is for the labels at the ends."""

NAMES = ("small", "good", "yours")
SOURCES: dict[str, tuple[str, ...]] = {
    **{f"line_{family}": ("x", "y") for family in ("small", "good", *FAMILIES)},
    **{f"labels_{family}": ("x", "y", "text") for family in FAMILIES},
}
COLOURS = {"small": "data", "good": "answer", **{family: family for family in FAMILIES}}
"""Line → token; the reader's own has one line for each thing that it may do."""


MARKS: Marks = (
    *(
        Mark("line", f"line_{name}", line=token, width=2.6, dash=(6, 3) if name == "danger" else ())
        for name, token in COLOURS.items()
    ),
    *(
        Words(f"labels_{family}", TEXT_TOKENS[family], weight="bold", padding=(0, 2), offset=(6, 0))
        for family in FAMILIES
    ),
)


def strip_panel(steps: int) -> Panel:
    """The figure over the steps of a descent."""
    x = Axis("step", (0.0, ROOM * steps), ticks=tuple(step_ticks(steps)), standoff=0)
    y = Axis("loss", Y_RANGE, is_log=True, ticks=Y_TICKS, texts=Y_TEXTS, has_line=False, standoff=4)
    return Panel(SOURCES, MARKS, x, y, HEIGHT, {"left": 50, "right": 6, "top": 4})


def strip_figure(steps: int) -> figure:
    """An empty figure of ``strip_panel``; ``fill`` or a browser gives it data."""
    return live(strip_panel(steps))


def step_ticks(steps: int) -> list[int]:
    """Five ticks or fewer, at round numbers of steps.

    Examples:
        >>> step_ticks(40), step_ticks(1)
        ([0, 10, 20, 30, 40], [0, 1])
    """
    every = next(e for e in (1, 2, 5, 10, 25, 50, 100, 250) if steps / e <= 4)
    return list(range(0, steps + 1, every))


def strip_view(paths: Sequence[DescentPath], until: int | None = None) -> View:
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
    frame = Frame.of(FRAME, (0.0, ROOM * paths[0].settings.steps), Y_RANGE, logs="y")
    placed = frame.columns("labels", _placed(paths, families, (small, good, yours), frame), TEXT_TOKENS)
    columns |= {name: {column: of[column] for column in ("x", "y", "text")} for name, of in placed.items()}
    return View(columns, Y_RANGE, _in_words(paths, until), (0.0, ROOM * paths[0].settings.steps))


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


def _placed(paths: Sequence[DescentPath], families: Sequence[str], lines: Sequence[Any], frame: Frame) -> list[Placed]:
    """At the lines' ends; those that meet there are moved apart, the uppermost line's on top."""
    ends = [(frame.x(line[-1][0]), frame.y(line[-1][1])) for line in lines]
    texts = [f"{'yours: ' if path is paths[2] else ''}η = {path.rate_text}" for path in paths]
    labels = []
    for i in range(len(paths)):
        near = [j for j in range(len(paths)) if _touch(ends[i][0], texts[i], ends[j][0], texts[j])]
        rows = dict(zip(near, apart([ends[j][1] for j in near], LINE_PX, FRAME[1]), strict=True))
        labels.append(Label(texts[i], families[i], ((ends[i][0], rows[i], "left"),), bold=True))
    # Wider than the frame: how far a label may go to the right depends on the view's width.
    return place(labels, 2 * frame.width, frame.height)


def _touch(x: float, text: str, other_x: float, other_text: str) -> bool:
    """Whether the label further left reaches the other one's end."""
    return abs(x - other_x) < text_px(text if x < other_x else other_text, bold=True) or x == other_x


def _in_words(paths: Sequence[DescentPath], until: int | None) -> str:
    words = []
    for path in paths:
        steps = path.steps[: None if until is None else until + 1]
        words.append(f"{format_loss(steps[-1].loss)} for η = {path.rate_text} at step {steps[-1].index}")
    return f"Loss against step: {', '.join(words)}."
