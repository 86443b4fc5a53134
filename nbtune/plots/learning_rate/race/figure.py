"""The three figures of a race: every rate's way on the left, the standings, and loss against η on the right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bokeh.layouts import row
from bokeh.plotting import figure

from ....formats import format_lr
from ...base.browser import LOSS_JS, LR_JS
from ...base.columns import View
from ...base.live import live
from ...base.marks import BOTH_WIDTHS, LABEL, Axis, Hover, Mark, Marks, Panel, Part, Words, labels
from ...base.mirror import mirrored, mirrored_panel
from ...base.scale import EMPTY_RANGE, at_most, decades
from ...base.sentence import sentence_png
from ...base.shades import ETA
from ...base.typed_again import SETTLED_END
from .. import overlays
from ..overlays import REGION, UPRIGHT
from ..pair import loss_axis
from .room import (
    FRAME_HEIGHT,
    FRAME_WIDTHS,
    HEIGHT,
    LEFT,
    LIST_WIDTH,
    MIDDLE,
    NARROW_BELOW,
    PLACES,
    RIGHT,
    STRIP_ROWS,
    at_row,
    frame_ends,
    rate_ends,
)  # fmt: skip
from .scene import STEPS, STEPS_MARGIN
from .scores import strip
from .strokes import STROKE
from .told import told_of
from .view import race_view
from .words import COLOURS

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve

__all__ = ["race_figures", "race_panels", "race_parts", "race_plot", "race_png", "race_view"]

PLACE = ("x", "y", "lr")
XY = ("x", "y")
ENDS = STROKE[:4]
SHARED: dict[str, tuple[str, ...]] = {
    "start": ("y",), **{f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in COLOURS}
}  # fmt: skip
COURSE = {
    **SHARED, "rounds": UPRIGHT, "now": UPRIGHT, "lost_ends": ("x", "low", "high", "lr"), "heads": PLACE,
    **dict.fromkeys(("raw", "lost", "racing", "leader", "ahead"), STROKE),
}  # fmt: skip
STANDINGS = {
    **dict.fromkeys(("links", "swatches", "swatches_out"), STROKE), "refined": PLACE,
    "rows_ink": LABEL, "rows_muted": LABEL,
}  # fmt: skip
SCORES = {
    **SHARED, **overlays.SOURCES, **dict.fromkeys(("past", "valley", "stems"), STROKE),
    **dict.fromkeys(("dots", "alive", "refined", "leader", "off"), PLACE), "whisker": ("x", "low", "high"),
    "strip": (*REGION, "lr"), "band": REGION, "frame": REGION, "suggestion": UPRIGHT, "handle": XY, "maybe": XY,
    "peak": XY, "level": ENDS, "best_level": ENDS,
}  # fmt: skip
"""Source name → its columns: the contract with whoever sends columns to the browser."""

WAY = ("x0", "y0", "x1", "y1")


def _way(source: str, width: float, alpha: float = 1.0, **look: Any) -> Mark:
    return Mark("segment", source, line=ETA, by="lr", at=WAY, width=width, alpha=alpha, **look)


def _halo(source: str, width: float) -> Mark:
    """What parts a line from those it crosses."""
    return Mark("segment", source, line="background", at=WAY, width=width)


def _dot(source: str, size: float, **look: Any) -> Mark:
    return Mark("points", source, line="background", fill=ETA, by="lr", width=1.5, size=size, name="scores", **look)


def _unseen(source: str) -> Mark:
    """Where a line may be pointed at."""
    return Mark("segment", source, at=WAY, width=9, name="ways")


COURSE_MARKS: Marks = (
    Mark("segment", "rounds", line="axis", width=1.2, dash=(2, 4)),
    overlays.START,
    _way("raw", 1, 0.28),
    _way("lost", 1.2, 0.45),
    Mark("segment", "lost_ends", line=ETA, by="lr", at=("x", "low", "x", "high"), width=1.6),
    Mark("segment", "now", line="axis", width=1.2),
    _way("ahead", 1.2, 0.6),
    _halo("racing", 4), _way("racing", 2.4, cap="round"),
    _halo("leader", 5.4), _way("leader", 3.4, cap="round"),
    Mark("points", "heads", line="background", fill=ETA, by="lr", width=1.5, size=8.5),
    _unseen("lost"), _unseen("racing"), _unseen("leader"),
    *labels(BOTH_WIDTHS, COLOURS),
)  # fmt: skip
STANDINGS_MARKS: Marks = (
    _way("links", 1.2, 0.6),
    _way("swatches_out", 2, 0.6),
    _way("swatches", 3),
    Mark("points", "refined", line=ETA, by="lr", width=1.5, size=8, marker="diamond"),
    Words("rows_muted", "muted"),
    Words("rows_ink", "ink"),
)
SCORES_MARKS: Marks = (
    Mark("quad", "band", fill="answer", alpha=0.13),
    overlays.ORDERS,
    overlays.START,
    Mark("segment", "past", line="axis", at=WAY, width=1.2, alpha=0.6),
    _way("stems", 2.2, 0.55),
    Mark("quad", "strip", fill=ETA, by="lr"),
    Mark("segment", "theory", line="ink", width=1.6),
    Mark("segment", "best_level", line="ink", at=WAY, width=1.2, dash=(2, 4)),
    Mark("segment", "valley", line="ink", at=WAY, width=2.4, cap="round"),
    _dot("dots", 6),
    Mark("points", "off", line=ETA, by="lr", width=1.6, marker="triangle", name="scores"),
    # Behind the dots: a doubt that cannot be seen is smaller than its dot.
    Mark("segment", "whisker", line="ink", at=("x", "low", "x", "high"), width=1.5),
    Mark("points", "whisker", line="ink", at=("x", "low"), width=1.5, marker="dash", size=8),
    Mark("points", "whisker", line="ink", at=("x", "high"), width=1.5, marker="dash", size=8),
    _dot("alive", 10),
    _dot("refined", 12, marker="diamond"),
    _dot("leader", 13),
    overlays.ORDER_TICKS,
    Mark("segment", "level", line="ink", at=WAY, width=1.5),
    Mark("quad", "frame", line="ink", width=1.5, dash=(5, 4)),
    Mark("segment", "suggestion", line="answer", width=2.4),
    Mark("points", "peak", line="answer", fill="answer", marker="inverted_triangle", size=10),
    Mark("points", "maybe", line="ink", fill="background", width=1.6, marker="diamond", size=12),
    Mark("points", "handle", line="background", fill="answer", width=1.5, marker="diamond", size=14),
    *labels(BOTH_WIDTHS, COLOURS),
)
NOTHING_YET = frame_ends(*EMPTY_RANGE, 1)

HOVERS = (Hover("scores", "<div>η @lr{custom} · loss @y{custom}</div>", {"@lr": LR_JS, "@y": LOSS_JS}),)
WAYS = (
    Hover("ways", "<div>η @lr{custom} · step @x1{0} · loss @y1{custom}</div>", {"@lr": LR_JS, "@y1": LOSS_JS}),
)  # fmt: skip


def race_panels(lr_min: float, lr_max: float, *, held_out: bool = False, sign: int = 1) -> dict[str, Panel]:
    """The figures "course", "standings" and "scores".

    Args:
        lr_min: The lowest rate.
        lr_max: The highest.
        held_out: Whether the loss shown is that of held-out data.
        sign: −1 where higher is better; see ``LRCurve``.
    """
    loss = replace(loss_axis(held_out), range=NOTHING_YET)
    unnamed = replace(loss, title="")
    listed = Axis(range=(0.0, float(LIST_WIDTH)))
    panels = {
        "course": Panel(COURSE, COURSE_MARKS, _steps_axis(), loss, HEIGHT, LEFT, WAYS, narrow_below=NARROW_BELOW),
        "standings": Panel(
            STANDINGS, STANDINGS_MARKS, listed, unnamed, HEIGHT, MIDDLE, has_grid=False, has_axes=False
        ),
        "scores": Panel(
            SCORES, SCORES_MARKS, _rates_axis(lr_min, lr_max), unnamed, HEIGHT, RIGHT, HOVERS,
            narrow_below=NARROW_BELOW,
        ),
    }  # fmt: skip
    return {name: mirrored_panel(panel, sign) for name, panel in panels.items()}


def _steps_axis() -> Axis:
    ends = STEPS_MARGIN**-0.5, SETTLED_END * STEPS_MARGIN
    return Axis("training step (log scale)", ends, is_log=True, ticks=STEPS, texts=tuple(map(str, STEPS)))


def _rates_axis(lr_min: float, lr_max: float) -> Axis:
    ticks = at_most(decades(lr_min, lr_max), 7)
    texts = tuple(map(format_lr, ticks))
    # The strip of colours is its line.
    return Axis(
        "learning rate η (log scale)", rate_ends(lr_min, lr_max), is_log=True, ticks=ticks, texts=texts, has_line=False,
        narrow_ticks=at_most(decades(lr_min, lr_max), 4),
    )  # fmt: skip


def race_figures(lr_min: float, lr_max: float, *, held_out: bool = False, sign: int = 1) -> dict[str, figure]:
    """Figures of ``race_panels``, empty but for the colours of η; ``fill`` or a browser gives them data."""
    panels = race_panels(lr_min, lr_max, held_out=held_out, sign=sign)
    return {name: live(panel, _nothing_yet(panel, (lr_min, lr_max), sign)) for name, panel in panels.items()}


def _nothing_yet(panel: Panel, edges: tuple[float, float], sign: int) -> View:
    ends = frame_ends(*EMPTY_RANGE, sign)
    bottom, top = sorted(at_row(row, ends, sign) for row in STRIP_ROWS)
    columns = {"strip": strip(edges, (bottom, top))} if "strip" in panel.sources else {}
    return mirrored(View(columns, ends, "", panel.x.range), sign)


def race_plot(curve: LRCurve) -> Any:
    """The figures of ``curve`` side by side."""
    views = race_view(curve)
    figures = {name: live(panel, views[name]) for name, panel in _panels_of(curve).items()}
    figures["standings"].update(sizing_mode="fixed", width=LIST_WIDTH)
    return row(list(figures.values()), sizing_mode="stretch_width")


def race_parts(curve: LRCurve) -> list[Part]:
    """The same in a picture."""
    views = race_view(curve)
    return [
        Part(panel, views[name], (left, LEFT["top"], width, FRAME_HEIGHT))
        for (name, panel), (left, width) in zip(_panels_of(curve).items(), PLACES.values(), strict=True)
    ]


def race_png(curve: LRCurve) -> bytes | None:
    """The light picture of ``curve`` with its sentence below; None where matplotlib is not installed."""
    told = told_of(curve)
    return sentence_png(race_parts(curve), HEIGHT, told.line, token="answer_text" if told.is_sure else "ink")


def _panels_of(curve: LRCurve) -> dict[str, Panel]:
    settings = curve.settings
    return race_panels(settings.lr_min, settings.lr_max, held_out=curve.is_held_out, sign=curve.sign)
