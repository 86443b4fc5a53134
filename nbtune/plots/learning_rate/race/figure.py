"""The two figures of a race on one loss axis: every rate's way on the left, the scores against η on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.layouts import row
from bokeh.plotting import figure

from ...base.browser import LOSS_JS, LR_JS
from ...base.labels import LABEL_COLOURS
from ...base.live import live
from ...base.marks import BOTH_WIDTHS, LABEL, Axis, Hover, Mark, Marks, Panel, Part, labels
from ...base.mirror import mirrored_panel
from ...base.sentence import sentence_png
from ...base.typed_again import SETTLED_END
from .. import overlays
from ..overlays import REGION, UPRIGHT
from ..pair import FRAME_WIDTHS, HEIGHT, LEFT, NARROW_BELOW, RIGHT, loss_axis, rates_axis, side_by_side
from .scene import FADES, NAMES_SHARE, STEPS
from .view import race_view

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve

__all__ = ["race_figures", "race_panels", "race_parts", "race_plot", "race_png", "race_view"]

XY = ("x", "y")
SHARED: dict[str, tuple[str, ...]] = {
    "start": ("y",), "crosses": XY, "worse_crosses": XY, "off": XY, "alive": XY, "leader": XY,
    **{f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in LABEL_COLOURS},
}  # fmt: skip
COURSE = {
    **SHARED, **{f"out{group}": XY for group in range(FADES)}, "worse": XY, "head": XY, "leading_head": XY,
    "rounds": UPRIGHT,
}  # fmt: skip
SCORES = {
    **SHARED, **overlays.SOURCES, "first": XY, "fit": XY, "whisker": ("x", "low", "high"), "band": REGION,
    "suggestion": UPRIGHT, "peak": UPRIGHT,
}  # fmt: skip
"""Source name → its columns: the contract with whoever sends columns to the browser."""

FADE_ALPHAS = (0.35, 0.6, 0.85)

LOSERS = (
    Mark("points", "crosses", line="muted", width=1.8, marker="x", name="losers"),
    Mark("points", "worse_crosses", line="danger", width=1.8, marker="x", name="losers"),
    overlays.OFF,
)
COURSE_MARKS: Marks = (
    Mark("segment", "rounds", line="axis", width=1.2, dash=(2, 4)),
    overlays.START,
    *(Mark("line", f"out{group}", line="axis", width=1.6, alpha=alpha) for group, alpha in enumerate(FADE_ALPHAS)),
    Mark("line", "worse", line="danger", width=1.4, alpha=0.6, dash=(5, 3)),
    Mark("line", "alive", line="data", width=2.4),
    Mark("line", "leader", line="answer", width=3.2),
    Mark("points", "head", line="background", fill="data", width=1.5),
    Mark("points", "leading_head", line="background", fill="answer", width=1.5),
    *LOSERS,
    *labels(BOTH_WIDTHS, LABEL_COLOURS),
)
SCORES_MARKS: Marks = (
    Mark("quad", "band", fill="answer", alpha=0.15),
    overlays.ORDERS,
    overlays.START,
    Mark("line", "first", line="axis", width=1.4),
    overlays.THEORY,
    Mark("segment", "suggestion", line="answer", width=2.4),
    Mark("line", "fit", line="answer", width=1.8, dash=(6, 4)),
    *LOSERS,
    # Behind the dots: a doubt that cannot be seen is smaller than its dot.
    Mark("segment", "whisker", line="ink", at=("x", "low", "x", "high"), width=1.6),
    Mark("points", "whisker", line="ink", at=("x", "low"), width=1.6, marker="dash", size=9),
    Mark("points", "whisker", line="ink", at=("x", "high"), width=1.6, marker="dash", size=9),
    Mark("points", "alive", line="background", fill="data", width=1.5, size=10, name="scores"),
    Mark("points", "leader", line="background", fill="answer", width=1.5, size=10, name="scores"),
    overlays.ORDER_TICKS,
    Mark("segment", "peak", line="answer", width=2, alpha=0.7),
    *labels(BOTH_WIDTHS, LABEL_COLOURS),
)
HOVERS = tuple(
    Hover(name, f"<div>η @x{{custom}} · {word} @y{{custom}}</div>", {"@x": LR_JS, "@y": LOSS_JS})
    for name, word in (("scores", "score"), ("losers", "left at"))
)


def race_panels(lr_min: float, lr_max: float, *, held_out: bool = False, sign: int = 1) -> dict[str, Panel]:
    """Both figures, "course" and "scores".

    Args:
        lr_min: The lowest rate.
        lr_max: The highest.
        held_out: Whether the loss shown is that of held-out data.
        sign: −1 where higher is better; see ``LRCurve``.
    """
    steps = Axis(
        "training step, the same batches for every rate", (0.0, NAMES_SHARE * SETTLED_END), ticks=STEPS,
        narrow_title="training step",
    )  # fmt: skip
    loss = loss_axis(held_out)
    panels = {
        "course": Panel(COURSE, COURSE_MARKS, steps, loss, HEIGHT, LEFT, narrow_below=NARROW_BELOW),
        "scores": Panel(
            SCORES, SCORES_MARKS, rates_axis(lr_min, lr_max), loss, HEIGHT, RIGHT, HOVERS, narrow_below=NARROW_BELOW
        ),
    }
    return {name: mirrored_panel(panel, sign) for name, panel in panels.items()}


def race_figures(lr_min: float, lr_max: float, *, held_out: bool = False, sign: int = 1) -> dict[str, figure]:
    """Empty figures of ``race_panels``; ``fill`` or a browser gives them data."""
    panels = race_panels(lr_min, lr_max, held_out=held_out, sign=sign)
    return {name: live(panel) for name, panel in panels.items()}


def race_plot(curve: LRCurve) -> Any:
    """Both figures of ``curve`` side by side."""
    views = race_view(curve)
    figures = [live(panel, views[name]) for name, panel in _panels_of(curve).items()]
    return row(figures, sizing_mode="stretch_width")


def race_parts(curve: LRCurve) -> list[Part]:
    """The same in a picture."""
    return side_by_side(_panels_of(curve), race_view(curve))


def race_png(curve: LRCurve) -> bytes | None:
    """The light picture of ``curve`` with its sentence below; None where matplotlib is not installed."""
    token = "ink" if curve.suggestion is None else "answer_text"
    return sentence_png(race_parts(curve), HEIGHT, curve, token=token, more=curve.theory)


def _panels_of(curve: LRCurve) -> dict[str, Panel]:
    settings = curve.settings
    return race_panels(settings.lr_min, settings.lr_max, held_out=curve.is_held_out, sign=curve.sign)
