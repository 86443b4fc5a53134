"""Which of many samples make the largest batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .batch_law import MEASURED_AT, Measure, lengths_of


class WorstSample:
    """The largest of many samples: as a whole, and in each dimension of what a batch of it alone holds.

    Args:
        alone: Measures a batch of one sample.
    Attributes:
        largest: The sample whose batch is the largest.
        first: The first five.
    """

    def __init__(self, alone: Callable[[Any], Measure]) -> None:
        self._alone = alone
        self._sizes: set[tuple[int, int]] = set()
        self._longest: dict[tuple[int, int], tuple[int, Any]] = {}
        self.largest: Any = None
        self.first: list[Any] = []

    def look_at(self, sample: Any) -> None:
        """Compare one more."""
        measure = self._alone(sample)
        if not self._sizes or measure.size > max(self._sizes):
            self.largest = sample
        self._sizes.add(measure.size)
        if len(self.first) < max(MEASURED_AT):
            self.first.append(sample)
        for index, leaf in enumerate(measure.leaves):
            for dimension, length in enumerate(lengths_of(leaf)):
                if length > self._longest.get((index, dimension), (-1,))[0]:
                    self._longest[index, dimension] = length, sample

    @property
    def widest(self) -> list[Any]:
        """The largest, and those that are longer in one dimension."""
        found = [self.largest, *(sample for _, sample in self._longest.values())]
        return list({id(sample): sample for sample in found}.values())

    @property
    def has_smaller(self) -> bool:
        """Whether the samples differ in size."""
        return len(self._sizes) > 1

    @property
    def is_told_by_text(self) -> bool:
        """Whether they differ in the lengths of their strings alone."""
        return self.has_smaller and len({nbytes for nbytes, _ in self._sizes}) == 1
