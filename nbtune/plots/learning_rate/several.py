"""Loss against η, one curve for each of several searches: the left figure of those that hold more than one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.columns import Columns, Floats
from ..base.labels import GAP_PX, Box, Frame, Label
from ..base.marks import BOTH_WIDTHS, LABEL, Mark, Marks, labels
from ..base.scale import EMPTY_RANGE, loss_range, x_edges
from ..base.series import DASHES, LOOKS, Series
from . import overlays
from .pair import FRAME_HEIGHT, FRAME_WIDTHS

if TYPE_CHECKING:
    from ...engine.learning_rate.curve import LRCurve
    from ...engine.learning_rate.settings import LRSettings

COLOURS = {slot: token for slot, (token, *_) in LOOKS.items()} | {"muted": "muted", "answer": "answer_text"}
"""Group of labels → token: the words of each have its colour."""

MOST_POINTS = 300
"""Of one curve."""

WORDS = {f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in COLOURS}
CURVES: dict[str, tuple[str, ...]] = {
    **{f"line_{slot}": ("x", "y") for slot in LOOKS}, **{f"marks_{slot}": ("x", "y") for slot in LOOKS},
    "start": ("y",), **WORDS,
}  # fmt: skip
"""Source name → its columns: the contract with whoever sends columns to the browser."""

POINTS = tuple(
    Mark("points", f"marks_{slot}", line="background", fill=token, width=1.5, marker=marker, size=9)
    for slot, (token, marker, _) in LOOKS.items()
)
LINES = tuple(
    Mark("line", f"line_{slot}", line=token, width=1.6 if slot == "rest" else 2.4, dash=DASHES[dash])
    for slot, (token, _, dash) in sorted(LOOKS.items(), key=lambda look: look[1][2] != "solid")
)
"""Dashed ones over solid ones: where two lines are the same, as Adam's and AdamW's are at first, both are seen."""
CURVES_MARKS: Marks = (overlays.START, *LINES, *POINTS, *labels(BOTH_WIDTHS, COLOURS))


@dataclass(frozen=True, slots=True)
class Curves:
    """The curves that have begun, with the ranges they are seen in.

    Attributes:
        shown: How each is told from the others, and what is known of it.
        losses: Bottom and top of the loss axis.
        rates: Ends of the axis of η.
    """

    shown: tuple[tuple[Series, LRCurve], ...]
    losses: tuple[float, float]
    rates: tuple[float, float]

    @classmethod
    def of(cls, shown: Iterable[tuple[Series, LRCurve]], settings: LRSettings) -> Curves:
        """Those of one search, with any number of curves."""
        shown = tuple(shown)
        starts = _starts(shown)
        lowest = [loss for _, c in shown for loss in c.smoothed_losses if math.isfinite(loss)]
        losses = loss_range(max(starts), min([*lowest, *starts])) if starts else EMPTY_RANGE
        return cls(shown, losses, x_edges(settings.lr_min, settings.lr_max))

    def clipped(self, losses: Floats) -> Floats:
        """Losses that a line may be drawn through, those not finite far above the frame."""
        bottom, top = self.losses
        far = 50 * (top - bottom)
        return np.clip(np.where(np.isfinite(losses), losses, np.inf), bottom - far, top + far)

    def columns(self) -> dict[str, Columns]:
        """Every mark but the words."""
        lines = [(s.slot, c.lrs, c.smoothed_losses) for s, c in self.shown]
        ends = [(s.slot, at) for s, c in self.shown for at in self._lowest(c)]
        return {**lines_of(lines, self.clipped), **points_of(ends), "start": {"y": np.array(_starts(self.shown)[:1])}}

    def words(self) -> dict[str, Columns]:
        """The words, at both widths."""
        columns: dict[str, Columns] = {}
        for prefix, width in FRAME_WIDTHS.items():
            frame = Frame.of((width, FRAME_HEIGHT), self.rates, self.losses, logs="x")
            lines = [
                box for _, c in self.shown for box in frame.along(c.lrs, self.clipped(np.asarray(c.smoothed_losses)))
            ]
            taken = self._boxes(frame) + (lines if self._is_named else [])
            placed = frame.place(self._labels(frame), taken, better_free=lines)
            columns |= frame.columns(prefix, placed, COLOURS)
        return columns

    @property
    def _is_named(self) -> bool:
        """Whether they are names: long, and told by the other figure too, so rather left out than laid over a line."""
        return any(isinstance(series.key, str) for series, _ in self.shown)

    def _lowest(self, curve: Any) -> list[tuple[float, float]]:
        """The lowest point of one curve, where it lies in the frame."""
        finite = [(loss, lr) for lr, loss in zip(curve.lrs, curve.smoothed_losses, strict=True) if math.isfinite(loss)]
        return [(lr, loss) for loss, lr in [min(finite)] if loss <= self.losses[1]] if finite else []

    def _labels(self, frame: Frame) -> Iterator[Label]:
        lowest = [(s, at) for s, c in self.shown for at in self._lowest(c)]
        # The lowest first: it has the least room.
        for series, (lr, loss) in sorted(lowest, key=lambda found: found[1][1]):
            px, row = frame.x(lr), frame.y(loss)
            places = [(px + GAP_PX, row + shift, "left") for shift in (10, -4, 22, -18, 32)]
            places += [(px - GAP_PX, row + shift, "right") for shift in (10, -4, 22, -18, 32)]
            places += [(px, row + shift, "center") for shift in (18, 34)]
            yield Label(series.text, word_colour(series), tuple(places), boxed=True, droppable=self._is_named)

    def _boxes(self, frame: Frame) -> list[Box]:
        at = [(frame.x(lr), frame.y(loss)) for _, c in self.shown for lr, loss in self._lowest(c)]
        return [(px - 5, row - 5, px + 5, row + 5) for px, row in at]


def word_colour(series: Series) -> str:
    """The group of labels that its words belong to."""
    return series.slot if series.slot != "rest" else "muted"


def lines_of(lines: Iterable[tuple[str, Sequence[float], Sequence[float]]], clipped: Any) -> dict[str, Columns]:
    """The sources of lines: those of one slot lie in one source, parted by gaps.

    Args:
        lines: (slot, x, y) of each.
        clipped: Brings y into what may be drawn.
    """
    found: dict[str, tuple[list[float], list[float]]] = {slot: ([], []) for slot in LOOKS}
    for slot, across, up in lines:
        kept = _thinned(len(across))
        x, y = found[slot]
        x += [*np.asarray(across, dtype=np.float64)[kept].tolist(), math.nan]
        y += [*clipped(np.asarray(up, dtype=np.float64)[kept]).tolist(), math.nan]
    return {f"line_{slot}": {"x": np.array(x), "y": np.array(y)} for slot, (x, y) in found.items()}


def points_of(points: Sequence[tuple[str, tuple[float, float]]]) -> dict[str, Columns]:
    """The sources of points, by (slot, place)."""
    return {
        f"marks_{slot}": {
            "x": np.array([x for of, (x, _) in points if of == slot]),
            "y": np.array([y for of, (_, y) in points if of == slot]),
        }
        for slot in LOOKS
    }


def _starts(shown: Sequence[tuple[Series, LRCurve]]) -> list[float]:
    return [c.start_loss for _, c in shown if c.start_loss is not None and math.isfinite(c.start_loss)]


def _thinned(count: int) -> Any:
    return np.unique(np.linspace(0, max(0, count - 1), min(count, MOST_POINTS)).astype(int))
