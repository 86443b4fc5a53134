"""The words in the plot of a learning-rate sweep."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ....formats import format_loss, format_lr
from ...base.labels import GAP_PX, Box, Frame, Label, Placed, box_of, text_px
from ...base.mirror import off_scale
from ...base.scale import TRIANGLE_PX, x_edges
from ..orders_band import band_label, band_of
from ..theory_mark import theory_box, theory_label
from .rule_marks import RULES, Rule, along_curve, place_rules, poles
from .scene import FRAME_HEIGHT, Scene

NARROW_BELOW = 640
FRAME_WIDTHS = {"labels": 585.0, "narrow_labels": 425.0}
"""Labels are placed at the least width of their kind: from ``NARROW_BELOW`` up, and at 480 px. More only parts them."""


def lr_labels(scene: Scene, prefix: str, rules: Sequence[Rule] = ()) -> dict[str, dict[str, Any]]:
    """The label sources of one kind of width, placed in px of the frame and given in η and loss.

    Args:
        scene: What is drawn.
        prefix: A key of ``FRAME_WIDTHS``.
        rules: Whose η is marked on the axis, where the plot's own words leave room.
    """
    edges = x_edges(scene.curve.settings.lr_min, scene.curve.settings.lr_max)
    size = FRAME_WIDTHS[prefix], FRAME_HEIGHT
    frame = Frame.of(size, edges, (scene.bottom, scene.top), logs="x")
    words = _Words(scene, frame, prefix == "narrow_labels", edges)
    placed = frame.place(words.labels(), words.taken())
    flags: list[Placed] = []
    if rules:
        middle = frame.width if scene.curve.suggestion is None else frame.x(scene.curve.suggestion)
        taken = [*words.taken(), *map(box_of, placed)]
        flags = place_rules(rules, frame, middle=middle, taken=taken, curve=along_curve(scene, frame.x))
    return {RULES[prefix]: poles(scene, flags, frame), **frame.columns(prefix, [*placed, *flags])}


@dataclass(frozen=True, slots=True)
class _Words:
    """What is said of a scene in a frame of some width."""

    scene: Scene
    frame: Frame
    narrow: bool
    edges: tuple[float, float]

    def taken(self) -> Iterator[Box]:
        """What no label may cover: the suggestion's line and the triangles."""
        curve, scene = self.scene.curve, self.scene
        if curve.suggestion is not None and not scene.running:
            yield (self.frame.x(curve.suggestion) - 2, 0.0, self.frame.x(curve.suggestion) + 2, FRAME_HEIGHT)
        yield from theory_box(curve, self.frame.x, self.edges, FRAME_HEIGHT)
        off = scene.lrs[scene.off_scale]
        if len(off):
            yield (
                self.frame.x(float(off[0])) - TRIANGLE_PX,
                0.0,
                self.frame.x(float(off[-1])) + TRIANGLE_PX,
                2 * TRIANGLE_PX,
            )

    def labels(self) -> Iterator[Label]:
        """The most important first: it takes its place before the others."""
        scene, curve = self.scene, self.scene.curve
        if scene.is_flat:
            text = "flat: no rate changed the loss by more than chance"
            yield Label(text, "muted", ((self.frame.width / 2, 0.58 * FRAME_HEIGHT, "center"),))
            return
        if scene.running and len(scene.lrs):
            yield self._head()
        if curve.suggestion is not None and not scene.running:
            yield self._suggestion(curve.suggestion)
        if curve.start_loss is not None:
            yield self._start(curve.start_loss)
        if scene.usable is not None and not self.narrow:
            yield self._usable(*scene.usable)
        yield from self._rise()
        yield from theory_label(curve, self.frame.x, self.edges, FRAME_HEIGHT)
        shown = [row for row in band_of(scene.orders) if scene.rises_from is None or row[0] < scene.rises_from]
        yield from band_label(shown, len(scene.orders), self.frame.x, self.frame.y)
        if scene.is_stopped:
            middle = (self.frame.x(float(scene.lrs[-1])) + self.frame.width) / 2
            yield Label("not tried", "muted", ((middle, 0.6 * FRAME_HEIGHT, "center"),), boxed=True, droppable=True)

    def _head(self) -> Label:
        scene = self.scene
        lr, loss = float(scene.lrs[-1]), float(scene.losses[-1])
        text = f"step {len(scene.curve.lrs)}: η = {format_lr(lr)}, loss {format_loss(scene.curve.sign * loss, 3)}"
        x, y = self.frame.x(lr), self.frame.y(scene.in_frame(loss))
        # Below the last point the curve has not been, unless it falls to the bottom edge.
        below, above = y + 14, y - 16
        left, right, flush = (x - 12, "right"), (x + 12, "left"), (self.frame.width - 2, "right")
        places = tuple((px, py, align) for py in (below, above) for px, align in (right, left, flush))
        return Label(text, "ink", places)

    def _suggestion(self, lr: float) -> Label:
        text = f"{'' if self.narrow else 'suggested '}η = {format_lr(lr)}"
        y, x = FRAME_HEIGHT - 15, self.frame.x(lr)
        left, right = (x - GAP_PX, y, "right"), (x + GAP_PX, y, "left")
        return Label(text, "answer", (left, right), bold=True, boxed=True)

    def _start(self, loss: float) -> Label:
        text = f"loss at the start, {format_loss(self.scene.curve.sign * loss)}"
        above = self._clear_of_noise(loss, text_px(text))
        at_start, at_end = (
            (self.frame.x(self.scene.curve.settings.lr_min), above, "left"),
            (self.frame.width - 6, above, "right"),
        )
        is_end_free = self.scene.rises_from is None and not self.scene.is_stopped
        places = (at_start, at_end) if is_end_free else (at_start,)
        return Label(text, "muted", places, droppable=True)

    def _clear_of_noise(self, loss: float, width: float) -> float:
        """Above what is drawn within ``width`` px of the first step, or below it where there is no room above."""
        end = self.frame.across.at(self.frame.x(self.scene.curve.settings.lr_min) + width)
        near = [self.frame.y(float(v)) for v in self.scene.losses[self.scene.lrs <= end] if math.isfinite(v)]
        top, bottom = min([self.frame.y(loss), *near]), max([self.frame.y(loss), *near])
        return top - 12 if top >= 24 else min(bottom + 14, FRAME_HEIGHT - 40)

    def _usable(self, low: float, high: float) -> Label:
        text = f"usable range {format_lr(low)} – {format_lr(high)}"
        left, right, y = self.frame.x(low) - GAP_PX, self.frame.x(high) + GAP_PX, 16.0
        # Green words in the vermilion region would say two things at once.
        end = self.frame.width if self.scene.rises_from is None else self.frame.x(self.scene.rises_from)
        starts = [x for x in (right, 4.0) if x + text_px(text) <= end]
        return Label(text, "answer", ((left, y, "right"), *((x, y, "left") for x in starts)), droppable=True)

    def _rise(self) -> Iterator[Label]:
        scene = self.scene
        if scene.rises_from is None:
            return
        rises = "loss rises" if scene.curve.sign > 0 else "loss falls"
        text = rises if self.narrow else f"{rises} from {format_lr(scene.rises_from)}"
        left, low = self.frame.x(scene.rises_from), FRAME_HEIGHT - 15
        right = self.frame.x(float(scene.lrs[-1])) if scene.is_stopped else self.frame.width
        at_end = (right - text_px(text) / 2 - 4, low, "center")
        inside = ((left + right) / 2, low, "center") if right - left > text_px(text) else at_end
        places = (inside, (left - GAP_PX, low, "right"), (left - GAP_PX, low - 22, "right"))
        yield Label(text, "danger", places, boxed=True, droppable=True)
        off = scene.lrs[scene.off_scale]
        if len(off) and not self.narrow:
            # Beside the triangles, in the order of reading; else below them.
            beside = self.frame.x(float(off[-1])) + 2 * GAP_PX
            below = ((left + right) / 2, 32.0, "center")
            places = ((beside, 16.0, "left"), below, (left - GAP_PX, 16.0, "right"))
            yield Label(off_scale(scene.curve.sign), "danger", places, boxed=True, droppable=True)
