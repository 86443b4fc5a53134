"""Image size against batch size: a row of peaks for each image side."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..checks import made_of
from ..memory.cards import capacity_name, parse_capacity, placed
from ..memory.estimate import MemoryEstimate
from ..memory.samples import Samples, image_size_of
from ..run import GeneratorRun
from ..task.task import Task
from .probe import estimate_with
from .settings import BatchSettings

FRACTIONS = (1, 3 / 4, 1 / 2, 3 / 8, 1 / 4, 1 / 8)
SMALLEST_SIDE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGridRow:
    """Predicted peaks of one image size.

    Attributes:
        image_size: Height in pixels.
        batch_sizes: k of each column.
        peak_bytes: Predicted peak of each.
        needed_bytes: The peak and its margin.
        fits: Whether that stays within the capacity.
        largest: Largest of ``batch_sizes`` that fits; 0 for none.
    """

    image_size: int
    batch_sizes: tuple[int, ...]
    peak_bytes: tuple[int, ...]
    needed_bytes: tuple[int, ...]
    fits: tuple[bool, ...]
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGrid:
    """Image size against batch size, a pure fold of rows (see ``from_rows``).

    Attributes:
        rows: Largest images first.
        settings: What was asked for.
        capacity_bytes, capacity_name: Of the card.
        batch_size: The largest that fits with the data's own images; None where none does.
        verdict, reason, limit: The answer, its evidence and its limit in words.
    """

    rows: tuple[MemoryGridRow, ...]
    settings: BatchSettings
    capacity_bytes: int | None
    capacity_name: str
    batch_size: int | None
    verdict: str
    reason: str
    limit: str
    outcome: Literal["finished", "stopped"] = "finished"

    @classmethod
    def from_rows(
        cls, rows: Iterable[MemoryGridRow], *, settings: BatchSettings, capacity_bytes: int | None, capacity_name: str,
        outcome: Literal["finished", "stopped"] = "finished",
    ) -> MemoryGrid:  # fmt: skip
        """What the rows so far say."""
        rows = tuple(rows)
        verdict, reason = _told(rows, capacity_name)
        return cls(
            rows=rows, settings=settings, capacity_bytes=capacity_bytes, capacity_name=capacity_name,
            batch_size=(rows[0].largest or None) if rows else None, verdict=verdict, reason=reason,
            limit="", outcome=outcome,
        )  # fmt: skip

    def with_capacity(self, capacity: str | int) -> MemoryGrid:
        """The same peaks judged by another card; nothing is predicted again."""
        size, name = parse_capacity(capacity), capacity_name(capacity)
        rows = [_judged(row, size) for row in self.rows]
        settings = replace(self.settings, capacity=capacity)
        return MemoryGrid.from_rows(
            rows, settings=settings, capacity_bytes=size, capacity_name=name, outcome=self.outcome
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        rows = [{name: getattr(row, name) for name in MemoryGridRow.__slots__} for row in self.rows]
        names = ("capacity_bytes", "capacity_name", "batch_size", "verdict", "reason", "limit", "outcome")
        return {"kind": "memory_grid", "schema": 1, "rows": rows, **{name: getattr(self, name) for name in names}}


def sweep_image_sizes(task: Task, settings: BatchSettings | None = None) -> ImageSizeSweep:
    """Predict the peak of every batch size for six image sizes, from the data's own down to an eighth of it.

    Raises:
        ValueError: At the first row, when the data are no images.
    """
    return ImageSizeSweep(task, made_of(BatchSettings, settings, {}, taker="sweep_image_sizes"))


class ImageSizeSweep(GeneratorRun[MemoryGridRow]):
    """A run of ``MemoryGridRow``.

    Attributes:
        capacity_bytes, capacity_name: Of the card, known from the first row on.
        left_out: Image sizes at which the model can't run, such as below what its pooling needs.
        known: A prediction by the same settings, where there is one: what holds of its course holds of other sizes.
    """

    def __init__(self, task: Task, settings: BatchSettings) -> None:
        self._task, self._settings = task, settings
        self.capacity_bytes: int | None = None
        self.capacity_name = ""
        self.left_out: tuple[int, ...] = ()
        self.known: MemoryEstimate | None = None
        self._waiting_for = "the prediction"
        self._sides: list[int] = []
        self._samples: Samples | None = None
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What is under way, in words; readable from any thread."""
        return self._waiting_for

    @property
    def total(self) -> int | None:
        """How many rows there are, as far as can be said now; None before the first image was looked at."""
        return len(self._sides) - len(self.left_out) if self._sides else None

    def grid(self, rows: Iterable[MemoryGridRow], outcome: Literal["finished", "stopped"] = "finished") -> MemoryGrid:
        """What the rows so far say, with what the sweep knows beside them."""
        return MemoryGrid.from_rows(
            rows, settings=self._settings, capacity_bytes=self.capacity_bytes, capacity_name=self.capacity_name,
            outcome=outcome,
        )  # fmt: skip

    def _events(self) -> Generator[MemoryGridRow, None, None]:
        full = image_size_of(self._task)
        if full is None:
            raise ValueError("the data are no images (k, channels, height, width), so there is no size to change")
        self._sides = image_sizes(full)
        for side in self._sides:
            self._waiting_for = f"the prediction for {side} pixels"
            try:
                estimate = self._estimate(side)
            except Exception:
                if side == full:
                    raise
                self.left_out = (*self.left_out, side)
                continue
            self.capacity_bytes, self.capacity_name = estimate.capacity_bytes, estimate.capacity_name
            self._samples = estimate.samples
            count = estimate.samples.count
            most = self._settings.max_batch_size
            yield _row(estimate, side, most if count is None else max(1, min(most, count)))

    def _estimate(self, side: int) -> MemoryEstimate:
        known = self.known
        if known is None or not known.can_change_plan or self._settings.evaluation:
            self.known = estimate_with(self._task, self._settings, image_size=side, samples=self._samples)
            return self.known
        if side == known.image_size:
            return known
        changed = known.changed(image_size=side)
        changed.find_law()
        return changed


def _judged(row: MemoryGridRow, capacity_bytes: int) -> MemoryGridRow:
    fits = tuple(needed <= capacity_bytes for needed in row.needed_bytes)
    largest = max((k for k, does in zip(row.batch_sizes, fits, strict=True) if does), default=0)
    return replace(row, fits=fits, largest=largest)


def image_sizes(full: int) -> list[int]:
    """Sides worth comparing, the data's own first.

    Examples:
        >>> image_sizes(512)
        [512, 384, 256, 192, 128, 64]
    """
    sides = [round(full * fraction) for fraction in FRACTIONS]
    return [side for index, side in enumerate(sides) if side >= SMALLEST_SIDE and side not in sides[:index]]


def _row(estimate: MemoryEstimate, side: int, most: int) -> MemoryGridRow:
    sizes = tuple(2**i for i in range(most.bit_length()))
    fits = tuple(estimate.fits(k) for k in sizes)
    return MemoryGridRow(
        image_size=side, batch_sizes=sizes, peak_bytes=tuple(estimate.peak_bytes(k) for k in sizes),
        needed_bytes=tuple(estimate.needed_bytes(k) for k in sizes), fits=fits,
        largest=max((k for k, does in zip(sizes, fits, strict=True) if does), default=0),
    )  # fmt: skip


def _told(rows: tuple[MemoryGridRow, ...], capacity: str) -> tuple[str, str]:
    if not rows:
        return "", ""
    halves = [row for row in rows if (rows[0].image_size / row.image_size).is_integer()]
    halves = [row for row in halves if (rows[0].image_size // row.image_size).bit_count() == 1][:3]
    listed = ", ".join(f"k = {row.largest or 'none'} at {row.image_size}²" for row in halves)
    first, second = halves[0].largest, halves[1].largest if len(halves) > 1 else 0
    place = placed(capacity)
    place = f"{place[0].upper()}{place[1:]}"
    if first and second > first:
        return f"{place}, halving the image side lets k grow {second // first}×:", f"{listed}."
    if not first and second:
        return f"{place}, half the image side is what lets it fit:", f"{listed}."
    return f"{place}, halving the image side changes nothing here:", f"{listed}."
