"""The words and numbers in the plot of memory by batch size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...formats import format_gib
from ..base.columns import Columns
from ..base.labels import LINE_PX, Box, Frame, Label, text_px
from .scene import FRAME_HEIGHT, Bar, MemoryScene

NARROW_BELOW = 500
FRAME_WIDTHS = {"labels": 400.0, "narrow_labels": 215.0}
"""Labels are placed at a little less than the least width of their kind, 500 and 300 px: more only parts them."""

MARGINS = (1.15, 0.6)
"""Left and right of the first and last bar's middle, in batch sizes: room for the word "free"."""


def x_edges(sizes: tuple[int, ...]) -> tuple[float, float]:
    """Both ends of the axis, in places of batch sizes."""
    return -MARGINS[0], len(sizes) - 1 + MARGINS[1]


def capacity_in_words(name: str, capacity_bytes: int) -> str:
    """A card keeps its sales name and says its size once.

    Examples:
        >>> capacity_in_words("8 GB card", 8 * 2**30), capacity_in_words("this GPU", 79 * 2**30)
        ('8 GB card = 8.0 GiB', 'This GPU = 79.0 GiB')
    """
    return f"{name[:1].upper()}{name[1:]} = {format_gib(capacity_bytes)} GiB"


def memory_labels(scene: MemoryScene, prefix: str) -> dict[str, Columns]:
    """The label sources of one kind of width, placed in px of the frame and given in places and GiB.

    Args:
        scene: What is drawn.
        prefix: A key of ``FRAME_WIDTHS``.
    """
    frame = Frame.of((FRAME_WIDTHS[prefix], FRAME_HEIGHT), x_edges(scene.sizes), (0.0, scene.top))
    words = _Words(scene, frame)
    return frame.columns(prefix, frame.place(words.labels(), words.taken()))


@dataclass(frozen=True, slots=True)
class _Words:
    """What is said of a scene in a frame of some width."""

    scene: MemoryScene
    frame: Frame

    @property
    def slot(self) -> float:
        """From one bar to the next."""
        return self.frame.x(1.0) - self.frame.x(0.0)

    def x(self, bar: Bar) -> float:
        return self.frame.x(self.scene.x(bar))

    def y(self, gib: float) -> float:
        return self.frame.y(gib)

    @property
    def capacity_y(self) -> float:
        return self.y(self.scene.capacity_gib or 0.0)

    def taken(self) -> Iterator[Box]:
        if self.scene.capacity_gib is not None:
            yield (0.0, self.capacity_y - 1, self.frame.width, self.capacity_y + 1)

    def labels(self) -> Iterator[Label]:
        """The most important first: it takes its place before the others."""
        scene = self.scene
        if scene.capacity_bytes is None:
            yield from (self._total(bar) for bar in scene.bars)
            return
        # The answer, the first that is too big, then outwards from where the card is nearly full.
        fitting = sorted((b for b in scene.bars if b.fits), key=lambda b: (b.batch_size != scene.best, -b.batch_size))
        too_big = [bar for bar in scene.bars if not bar.fits]
        yield from (self._headroom(bar) for bar in fitting[:1])
        yield from (self._needs(bar) for bar in too_big if bar.peak_bytes is not None)
        yield from (self._headroom(bar) for bar in fitting[1:])
        if fitting:
            yield self._free(min(fitting, key=lambda bar: bar.batch_size))
        yield self._capacity(scene.capacity_bytes)
        for bar in too_big:
            yield from self._too_big(bar)

    def _headroom(self, bar: Bar) -> Label:
        text = format_gib(self.scene.headroom_bytes(bar) or 0)
        inside = (self.x(bar), self.y(self.scene.height(bar)) + 13, "center")
        places = (self._number_place(bar),) if self._has_room(bar) else (self._number_place(bar), inside)
        return Label(text, "answer", places, bold=True, boxed=True, droppable=True)

    def _has_room(self, bar: Bar) -> bool:
        """In a gap lower than a line, its number would lie on the bar or on the capacity."""
        return self.y(self.scene.height(bar)) - self.capacity_y > LINE_PX + 3

    def _number_place(self, bar: Bar) -> tuple[float, float, str]:
        middle = (self.y(self.scene.height(bar)) + self.capacity_y) / 2
        return self.x(bar), middle if self._has_room(bar) else self.capacity_y - 13, "center"

    def _needs(self, bar: Bar) -> Label:
        text, colour = format_gib(bar.peak_bytes or 0), "ink" if bar.is_slower else "danger"
        top = max(0.0, self.y(self.scene.height(bar)))
        places = tuple((self.x(bar), top + below, "center") for below in (13, 33, -11))
        return Label(text, colour, places, bold=True, boxed=True, droppable=True)

    def _total(self, bar: Bar) -> Label:
        above = (self.x(bar), self.y(self.scene.height(bar)) - 11, "center")
        return Label(format_gib(bar.peak_bytes or 0), "ink", (above,), droppable=True)

    def _capacity(self, capacity_bytes: int) -> Label:
        text = capacity_in_words(self.scene.capacity_name, capacity_bytes)
        rows = [self.capacity_y - above for above in (13, 31, 49, -13, -31, -49)]
        starts = range(2, max(3, int(self.frame.width - text_px(text, True))), 12)
        return Label(text, "ink", tuple((x, y, "left") for y in rows for x in starts), bold=True, boxed=True)

    def _too_big(self, bar: Bar) -> Iterator[Label]:
        x, y = self.x(bar), 0.58 * FRAME_HEIGHT
        look: dict[str, Any] = {"boxed": True, "droppable": True}
        if bar.is_slower:
            yield Label("slower", "ink", ((x, y, "center"),), **look)
        elif self.slot >= text_px("too big"):
            yield Label("too big", "danger", ((x, y, "center"),), **look)
        else:
            yield Label("too", "danger", ((x, y - LINE_PX / 2, "center"),), **look)
            yield Label("big", "danger", ((x, y + LINE_PX / 2, "center"),), **look)

    def _free(self, bar: Bar) -> Label:
        x, y, _ = self._number_place(bar)
        beside = text_px(format_gib(self.scene.headroom_bytes(bar) or 0), True) / 2 + 4
        elsewhere = (x, y + LINE_PX, "center") if self._has_room(bar) else (x + beside, y, "left")
        return Label("free", "answer", ((x - beside, y, "right"), elsewhere), boxed=True, droppable=True)
