"""The figure of memory by batch size: stacks under the capacity of a card, and what each leaves free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bokeh.plotting import figure

from ..base.labels import LABEL_COLOURS
from ..base.live import live
from ..base.marks import BOTH_WIDTHS, LABEL, Axis, Hatch, Hover, Mark, Marks, Panel, Part, labels
from ..base.typed_again import PARTS
from .labels import FRAME_WIDTHS, NARROW_BELOW, x_edges
from .scene import BAR, HEIGHT, MANTISSAS, MemoryScene, scene_of, scene_of_estimate
from .view import EDGES, memory_view, view_of

if TYPE_CHECKING:
    from ...engine.batch_size.limit import BatchLimit
    from ...engine.memory import MemoryEstimate

__all__ = ["bars_panel", "bars_part", "estimate_figure", "limit_figure", "memory_figure", "memory_view"]

BOX = ("x", "top")
SOURCES: dict[str, tuple[str, ...]] = {
    "measured": ("x", *EDGES),
    "predicted": ("x", *EDGES),
    "measured_whole": BOX,
    "predicted_whole": BOX,
    "outline": BOX,
    "slower": BOX,
    "too_big": BOX,
    "partings": ("left", "right", "y"),
    "capacity": ("y",),
    "headroom": (*BOX, "capacity"),
    "best": (*BOX, "capacity"),
    "hit": (*BOX, "head", "detail"),
    **{f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in LABEL_COLOURS},
}
"""Source name → its columns: the contract with whoever sends columns to the browser."""

WHOLE, GAP = ("x", 0.0, "top"), ("x", "top", "x", "capacity")
STRIPES, CROSSES = Hatch("/", "background", 8, 0.8), Hatch("x", "danger", 12, 0.55, weight=0.8)


def _stack(source: str, hatch: Hatch | None) -> tuple[Mark, ...]:
    parts = (
        Mark("bar", source, fill=f"part_{part}", at=("x", low, high), span=BAR, hatch=hatch)
        for part, low, high in zip(PARTS, EDGES, EDGES[1:], strict=False)
    )
    return (*parts, Mark("bar", f"{source}_whole", fill="muted", at=WHOLE, span=BAR, hatch=hatch))


MARKS: Marks = (
    *_stack("measured", None),
    *_stack("predicted", STRIPES),
    Mark("segment", "partings", line="background", at=("left", "y", "right", "y")),
    Mark("bar", "outline", line="ink", at=WHOLE, span=BAR, width=1.5, dash=(4, 3)),
    Mark("bar", "slower", line="ink", fill="part_reserved", at=WHOLE, span=BAR, width=1.5, dash=(4, 3), hatch=STRIPES),
    Mark("bar", "too_big", line="danger", at=WHOLE, span=BAR, width=1.5, dash=(4, 3), hatch=CROSSES),
    Mark("bar", "best", fill="answer", at=("x", 0.0, "capacity"), alpha=0.15, level="underlay"),
    Mark("segment", "headroom", line="answer", at=GAP, width=1.3, dash=(2, 4)),
    Mark("segment", "best", line="answer", at=GAP, width=2.2),
    Mark("rule", "capacity", line="ink", width=2.2),
    Mark("points", "best", line="background", fill="answer", at=BOX, width=1.5, marker="diamond", size=13),
    *labels(BOTH_WIDTHS, LABEL_COLOURS),
    # The whole column answers, so that a bar of 1 px can be asked as well.
    Mark("bar", "hit", at=WHOLE, name="hit"),
)
HOVERS = (Hover("hit", "<div>@head</div><div>@detail</div>"),)


def bars_panel(batch_sizes: Sequence[int], top: float) -> Panel:
    """The figure with a place for each batch size.

    Args:
        batch_sizes: Ascending; those of ``memory_scene.sizes_of`` for the settings of a search.
        top: End of the memory axis, GiB, until a view brings another.
    """
    sizes = tuple(batch_sizes)
    x = Axis(
        "batch size k", x_edges(sizes), ticks=tuple(range(len(sizes))), texts=tuple(map(str, sizes)), has_ticks=False,
        # Batch sizes stay apart.
        apart=max(28, 8 * len(str(sizes[-1])) + 6),
    )  # fmt: skip
    y = Axis("memory, GiB", (0.0, top), mantissas=MANTISSAS, has_line=False, narrow_title="")
    borders = {"left": 48, "right": 10, "top": 6}
    return Panel(SOURCES, MARKS, x, y, HEIGHT, borders, HOVERS, narrow_below=NARROW_BELOW)


def memory_figure(batch_sizes: Sequence[int], capacity_bytes: int | None, capacity_name: str) -> figure:
    """An empty figure of ``bars_panel``, the capacity line in place; ``fill`` or a browser gives it data.

    Args:
        batch_sizes: Ascending.
        capacity_bytes: Of the card; None for no line.
        capacity_name: Such as "8 GB card".
    Returns:
        A figure with one named ``ColumnDataSource`` per entry of ``SOURCES``.
    """
    return _figure(MemoryScene(tuple(batch_sizes), (), capacity_bytes, capacity_name, None, False))


def limit_figure(limit: BatchLimit) -> figure:
    """The finished figure of ``limit``."""
    return _figure(scene_of(limit, False))


def estimate_figure(estimate: MemoryEstimate) -> figure:
    """The predicted bars of ``estimate``, up to k = 512."""
    return _figure(scene_of_estimate(estimate))


def bars_part(scene: MemoryScene, place: tuple[float, float, float, float]) -> Part:
    """The bars of a scene in a picture; see ``Part``."""
    return Part(bars_panel(scene.sizes, scene.top), view_of(scene), place)


def _figure(scene: MemoryScene) -> figure:
    return live(bars_panel(scene.sizes, scene.top), view_of(scene))
