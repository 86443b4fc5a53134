"""The figure of memory over one training step: in use and reserved, the phases behind, and the peak."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from bokeh.plotting import figure

from ...formats import format_gib, format_memory
from ..base.columns import Columns, View, WordAt, floats, placed_words, table
from ..base.live import live
from ..base.marks import LABEL, Axis, Mark, Marks, Panel, Part, Words
from ..base.picture import WIDTH
from ..base.sentence import Told, sentence_png
from .scene import MANTISSAS

if TYPE_CHECKING:
    from ...engine.memory.replay.timeline import MemoryTimeline

GIB = 2**30
HEIGHT, LEFT, TOP, BELOW = 294, 56, 26, 34
MOST_POINTS = 1200
PHASES = ("forward", "backward", "update")
NAMES = {"forward": "forward pass", "backward": "backward pass", "update": "update"}
EDGES = ("left", "right", "bottom", "top")
SHADES = {"forward": 0.10, "backward": 0.22, "update": 0.34}
SOURCES = {
    **dict.fromkeys(PHASES, EDGES), "reserved": ("x", "y"), "in_use": ("x", "low", "high"), "edge": ("x", "y"),
    "card": ("y",), "peak": ("x", "y"), "names": LABEL, "said": LABEL,
}  # fmt: skip
MARKS: Marks = (
    *(Mark("quad", phase, fill="part_reserved", alpha=alpha, level="underlay") for phase, alpha in SHADES.items()),
    Mark("area", "in_use", fill="part_activations", alpha=0.45),
    Mark("line", "edge", line="part_activations", width=1.6),
    Mark("line", "reserved", line="ink", width=1.4, dash=(4, 3)),
    Mark("rule", "card", line="ink", width=2.2),
    Mark("points", "peak", line="background", fill="danger", width=1.5, marker="diamond", size=13),
    Words("names", "muted"),
    Words("said", "ink"),
)


def timeline_panel() -> Panel:
    """The figure, empty until a view brings its numbers."""
    x = Axis("one step, allocation by allocation", (0.0, 1.0), ticks=(), texts=())
    y = Axis("memory, GiB", (0.0, 1.0), mantissas=MANTISSAS, has_line=False, narrow_title="")
    borders = {"left": 48, "right": 10, "top": 6}
    return Panel(
        SOURCES, MARKS, x, y, HEIGHT, borders, caption="filled: in use   ·   dashed: reserved by the allocator"
    )


def timeline_figure(timeline: MemoryTimeline | None = None) -> figure:
    """The finished figure of ``timeline``; None for an empty one, which a browser gives data."""
    return live(timeline_panel()) if timeline is None else live(timeline_panel(), timeline_view(timeline))


def timeline_view(timeline: MemoryTimeline | None, capacity_bytes: int | None = None) -> View:
    """What the figure shows of a step.

    Args:
        timeline: None for an empty figure.
        capacity_bytes: Of the card; None for no line.
    """
    if timeline is None:
        return View({name: _nothing(columns) for name, columns in SOURCES.items()}, (0.0, 1.0), "", (0.0, 1.0))
    count = len(timeline.allocated_bytes)
    in_use, reserved = (np.array(b) / GIB for b in (timeline.allocated_bytes, timeline.reserved_bytes))
    card = None if capacity_bytes is None else capacity_bytes / GIB
    most = float(reserved.max())
    top = 1.15 * (max(most, card) if card is not None and card < 2.5 * most else most)
    at = _kept(in_use, timeline.peak)
    columns: dict[str, Columns] = {
        **{phase: _behind(timeline, phase, top) for phase in PHASES},
        "in_use": {"x": floats(at), "low": floats(0.0 for _ in at), "high": in_use[at]},
        "edge": {"x": floats(at), "y": in_use[at]},
        "reserved": {"x": floats(at), "y": reserved[at]},
        "card": {"y": floats([card] if card is not None and card <= top else [])},
        "peak": {"x": floats([timeline.peak]), "y": floats([in_use[timeline.peak]])},
        **_words(timeline, top, count),
    }  # fmt: skip
    return View(columns, (0.0, top), timeline_in_words(timeline), (0.0, float(count)))


def timeline_in_words(timeline: MemoryTimeline) -> str:
    """The peak and where it is."""
    peak = format_memory(timeline.allocated_bytes[timeline.peak])
    held = format_memory(max(timeline.reserved_bytes))
    return f"k = {timeline.batch_size}: {peak} in use at the peak, {held} reserved. {timeline.where}"


def timeline_part(timeline: MemoryTimeline, capacity_bytes: int | None = None) -> Part:
    """The same in a picture."""
    panel, view = timeline_panel(), timeline_view(timeline, capacity_bytes)
    panel = replace(panel, x=replace(panel.x, range=view.x_range or (0.0, 1.0)))
    return Part(panel, view, (LEFT, TOP, WIDTH - LEFT - 8, HEIGHT - TOP - BELOW))


def timeline_png(timeline: MemoryTimeline, capacity_bytes: int | None = None) -> bytes | None:
    """The light picture of a step with its sentence below; None where matplotlib is not installed."""
    peak = format_memory(timeline.allocated_bytes[timeline.peak])
    answer = Told(f"{peak} in use at the peak with k = {timeline.batch_size}.", timeline.where, "Predicted.")
    return sentence_png([timeline_part(timeline, capacity_bytes)], HEIGHT + 2, answer)


def _kept(in_use: np.ndarray, peak: int) -> np.ndarray:
    """Places to draw, at most ``MOST_POINTS``: of each stretch the one with most, so that no spike is lost."""
    count = len(in_use)
    if count <= MOST_POINTS:
        return np.arange(count)
    edges = np.linspace(0, count, MOST_POINTS, dtype=int)
    highest = [a + int(in_use[a:b].argmax()) for a, b in pairwise(edges)]
    return np.unique([0, *highest, peak, count - 1])


def _behind(timeline: MemoryTimeline, phase: str, top: float) -> Columns:
    return table([(a, b, 0.0, top) for name, a, b in timeline.phases if name == phase], EDGES)


def _words(timeline: MemoryTimeline, top: float, count: int) -> dict[str, Columns]:
    phases = [(NAMES[name], (a + b) / 2) for name, a, b in timeline.phases if b - a > 0.06 * count]
    named = [WordAt(middle, 0.955 * top, name, "center") for name, middle in phases]
    size = format_gib(timeline.allocated_bytes[timeline.peak])
    is_right = timeline.peak > 0.6 * count
    y = max(timeline.reserved_bytes) / GIB + 0.055 * top
    where = f"{size} GiB" + (f" · {timeline.peak_module}" if timeline.peak_module else "")
    x = timeline.peak + (-0.012 if is_right else 0.012) * count
    said = WordAt(x, y, where, "right" if is_right else "left", is_bold=True)
    return {"names": placed_words(named, box_alpha=0.8), "said": placed_words([said], box_alpha=0.8)}


def _nothing(columns: tuple[str, ...]) -> Columns:
    return {name: [] if name in ("text", "align", "weight", "size") else floats([]) for name in columns}
