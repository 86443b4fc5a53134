"""The figure of a learning-rate sweep: loss against η, all marks in place from the first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bokeh.plotting import figure

from ....formats import format_lr
from ...base.browser import LOSS_JS, LR_JS, STEP_JS
from ...base.labels import LABEL_COLOURS
from ...base.live import live
from ...base.marks import BOTH_WIDTHS, LABEL, Axis, Hatch, Hover, Mark, Marks, Panel, Part, labels
from ...base.mirror import mirrored_panel
from ...base.scale import EMPTY_RANGE, at_most, decades, x_edges
from ...base.sentence import sentence_png
from .. import overlays
from ..overlays import REGION, UPRIGHT
from .labels import FRAME_WIDTHS, NARROW_BELOW
from .rule_marks import RULES, Rule
from .scene import HEIGHT
from .view import lr_view

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve

__all__ = ["lr_figure", "lr_view", "sweep_panel", "sweep_parts", "sweep_plot", "sweep_png"]

SOURCES: dict[str, tuple[str, ...]] = {
    **overlays.SOURCES,
    "raw": ("x", "y", "step"),
    "smooth": ("x", "y"),
    "rising": ("x", "y"),
    "off": ("x", "y", "loss", "step"),
    "suggestion": ("x", "y", "bottom", "top"),
    "head": ("x", "y"),
    "run": ("steps",),
    "band": REGION,
    "hatch": REGION,
    "untried": REGION,
    **dict.fromkeys(RULES.values(), UPRIGHT),
    **{f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in LABEL_COLOURS},
}
"""Source name → its columns: the contract with whoever sends columns to the browser."""

MARKS: Marks = (
    Mark("quad", "band", fill="answer", alpha=0.15),
    Mark("quad", "hatch", hatch=Hatch("/", "danger", 13, 0.25)),
    Mark("quad", "untried", hatch=Hatch(".", "axis", 9, 0.4)),
    overlays.ORDERS,
    overlays.START,
    Mark("points", "raw", fill="data", size=5, alpha=0.4, name="raw points"),
    Mark("line", "smooth", line="data", width=2.6),
    Mark("line", "rising", line="danger", width=2.6, dash=(6, 3)),
    *(Mark("segment", RULES[prefix], line="muted", width=1.4, only=only) for prefix, only in BOTH_WIDTHS.items()),
    replace(overlays.OFF, name="off points"),
    overlays.THEORY,
    overlays.ORDER_TICKS,
    Mark("segment", "untried", line="ink", at=("left", "bottom", "left", "top"), width=1.5),
    Mark("segment", "suggestion", line="answer", width=2.2),
    Mark("points", "suggestion", line="background", fill="answer", width=1.5, marker="diamond", size=12),
    Mark("points", "head", line="background", fill="data", width=2, size=10),
    *labels(BOTH_WIDTHS, LABEL_COLOURS),
)

FORMATS = {"@x": LR_JS, "@y": LOSS_JS, "@loss": LOSS_JS, "@step": STEP_JS}
HOVERS = tuple(
    Hover(name, f"<div>η @x{{custom}} · loss {loss}{{custom}}</div><div>step @step{{custom}}</div>", FORMATS, run="run")
    for name, loss in (("raw points", "@y"), ("off points", "@loss"))
)


def sweep_panel(lr_min: float, lr_max: float, *, held_out: bool = False, sign: int = 1) -> Panel:
    """The figure over the whole sweep.

    Args:
        lr_min: The sweep's first η.
        lr_max: Its last.
        held_out: Whether the loss shown is that of held-out data.
        sign: −1 where higher is better; see ``LRCurve``.
    """
    every = decades(lr_min, lr_max)
    ticks = at_most(every, 13)
    x = Axis(
        "learning rate η (log scale)", x_edges(lr_min, lr_max), is_log=True, ticks=ticks,
        texts=tuple(map(format_lr, ticks)), narrow_ticks=at_most(every, 4),
    )  # fmt: skip
    y = Axis("held-out loss" if held_out else "training loss", EMPTY_RANGE, has_line=False, narrow_title="")
    borders = {"left": 48, "right": 10, "top": 6}
    return mirrored_panel(Panel(SOURCES, MARKS, x, y, HEIGHT, borders, hovers=HOVERS, narrow_below=NARROW_BELOW), sign)


def lr_figure(lr_min: float, lr_max: float, *, held_out: bool = False, sign: int = 1) -> figure:
    """An empty figure of ``sweep_panel``; ``fill`` or a browser gives it data.

    Returns:
        A figure with one named ``ColumnDataSource`` per entry of ``SOURCES``.
    """
    return live(sweep_panel(lr_min, lr_max, held_out=held_out, sign=sign))


def sweep_plot(curve: LRCurve, *, rules: Sequence[Rule] = ()) -> figure:
    """The finished figure of ``curve``, of any length.

    Args:
        curve: Of a sweep.
        rules: Whose η is marked as well, such as ``nbtune.engine.classic_rules(curve)``.
    """
    return live(_panel_of(curve), lr_view(curve, rules=rules))


def sweep_parts(curve: LRCurve) -> list[Part]:
    """The same in a picture."""
    return [Part(_panel_of(curve), lr_view(curve), (56, 6, 754, HEIGHT - 52))]


def sweep_png(curve: LRCurve) -> bytes | None:
    """The light picture of ``curve`` with its sentence below; None where matplotlib is not installed."""
    token = "ink" if curve.suggestion is None else "answer_text"
    return sentence_png(sweep_parts(curve), HEIGHT, curve, token=token, more=curve.theory)


def _panel_of(curve: LRCurve) -> Panel:
    return sweep_panel(curve.settings.lr_min, curve.settings.lr_max, held_out=curve.is_held_out, sign=curve.sign)
