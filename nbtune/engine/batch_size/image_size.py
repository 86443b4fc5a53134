"""The largest images that fit at a batch size, by bisection."""

from __future__ import annotations

import math

from ..checks import whole_number
from ..errors import first_line
from ..interrupts import held_back
from ..memory.estimate import MemoryEstimate, estimate_memory
from ..memory.images import SMALLEST_IMAGE
from ..memory.samples import NotPredictableError
from ..task.task import Task, checked_task

LARGEST = 8192


@held_back()
def largest_image_size(
    task: Task, capacity: str | int | None = None, *, batch_size: int | None = None, multiple: int = 32
) -> int:
    """The largest height in pixels at which a batch fits on a card, smaller or larger than the data's own.

    Each size tried takes about a second; the step from one to the next follows the peaks found so far.

    Args:
        task: What is to be trained, on images.
        capacity: As in ``estimate_memory``.
        batch_size: Samples at once, k; None for the task's own.
        multiple: Only multiples of it are looked at, ≥ 1: most networks halve their images five times.
    Returns:
        0 where not even the smallest fits; at most 8,192. Sizes that the model refuses count as not fitting.
    Raises:
        TypeError, ValueError: For wrong arguments, data that are no images, where nobody knows the capacity, or where
            the model takes no images of the multiple next to its own.
        NotPredictableError: When nothing can be predicted, saying why.

    Examples:
        >>> import torch
        >>> layers = torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 2)
        >>> model = torch.nn.Sequential(*layers)
        >>> data = (torch.randn(64, 3, 64, 64), torch.randint(0, 2, (64,)))
        >>> task = Task(model, torch.optim.SGD(model.parameters()), torch.nn.functional.cross_entropy, data)
        >>> largest_image_size(task, "2 GB", batch_size=16)
        768
    """
    checked_task(task, "largest_image_size")
    k = task.batch_size if batch_size is None else whole_number("batch_size", batch_size)
    multiple = whole_number("multiple", multiple)
    if k is None:
        raise ValueError("the data do not tell their batch size: give batch_size=")
    estimate = estimate_memory(task, capacity)
    if estimate.image_size is None:
        raise ValueError("the data are no images (k, channels, height, width), so there is no size to change")
    if estimate.capacity_bytes is None:
        raise ValueError('nobody says how much memory there is: name a card, e.g. capacity="8 GB"')
    return multiple * _Sides(estimate, k, multiple).largest()


class _Sides:
    """Sizes by their multiple, each traced once."""

    def __init__(self, estimate: MemoryEstimate, k: int, multiple: int) -> None:
        self._estimate, self._k, self._multiple = estimate, k, multiple
        self._own = max(1, round((estimate.image_size or 1) / multiple))
        self._needed: dict[int, int | None] = {}

    def largest(self) -> int:
        low, high = self._bounds()
        while high - low > 1:
            middle = self._between(low, high)
            low, high = (middle, high) if self._fits(middle) else (low, middle)
        return low

    def _bounds(self) -> tuple[int, int]:
        """A multiple that fits (0 for none), and a larger one that does not."""
        most = LARGEST // self._multiple
        if not self._fits(self._own):
            return 0, self._own
        low = self._own
        while low < most and self._fits(min(2 * low, most)):
            low = min(2 * low, most)
        return low, min(2 * low, most) if low < most else most + 1

    def _between(self, low: int, high: int) -> int:
        """Where the card would be full if the memory grew with the area, and never the same side twice."""
        small, large = self._needed.get(low), self._needed.get(high)
        if small is None or large is None or large <= small:
            return (low + high) // 2
        capacity = self._estimate.capacity_bytes or 0
        area = low**2 + (high**2 - low**2) * (capacity - small) / (large - small)
        return min(max(low + 1, round(math.sqrt(area))), high - 1)

    def _fits(self, multiples: int) -> bool:
        needed = self._needed_at(multiples)
        return needed is not None and needed <= (self._estimate.capacity_bytes or 0)

    def _needed_at(self, multiples: int) -> int | None:
        """None below what the model's pooling needs."""
        if multiples not in self._needed:
            side = multiples * self._multiple
            try:
                changed = self._estimate.changed(image_size=side)
                self._needed[multiples] = changed.needed_bytes(self._k) if side >= SMALLEST_IMAGE else None
            except Exception as error:
                if multiples == self._own:
                    raise self._refused(side, error) from error
                self._needed[multiples] = None
        return self._needed[multiples]

    def _refused(self, side: int, error: Exception) -> Exception:
        """In the user's terms, where it is only their own size rounded that fails."""
        own = self._estimate.image_size
        if side == own or isinstance(error, NotPredictableError):
            return error
        return ValueError(
            f"the model takes no images of {side} pixels ({first_line(error)}): give multiple=, so that its own "
            f"{own} pixels are one"
        )
