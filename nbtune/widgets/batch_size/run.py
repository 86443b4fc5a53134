"""What the batch prober's Start runs, and its finished result judged for another card."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import Any

from ...engine.batch_size.grid import ImageSizeSweep, MemoryGridRow
from ...engine.batch_size.limit import BatchLimit
from ...engine.batch_size.probe import BatchProbe
from ...engine.batch_size.rules import PLAYED
from ...engine.batch_size.trial import MemoryTrial
from ...engine.batch_size.what_fits.result import MemoryChange
from ...engine.batch_size.what_fits.search import WhatFitsSearch
from ...engine.memory.estimate import MemoryEstimate
from ...engine.run import GeneratorRun

PLAYED_SECONDS = 0.35
"""Between two played trials: a card that is not there answers at once, and nobody could watch."""


ProberEvent = MemoryTrial | MemoryGridRow | MemoryChange


class ProberRun(GeneratorRun[ProberEvent]):
    """A search, then, where asked for, what is made of its prediction: one run of all kinds of events.

    Args:
        probe: The search, or None.
        sweep: Over image sizes, or None.
        wanted: The batch size that is to be made to fit, or None.
        estimate: The prediction, where there is no search.
    Attributes:
        fits: The search for what makes it fit, once it has begun.
        refusal: Why no change can be estimated, in words; "" where one can.
    """

    def __init__(
        self,
        probe: BatchProbe | None,
        sweep: ImageSizeSweep | None = None,
        *,
        wanted: int | None = None,
        estimate: MemoryEstimate | None = None,
    ) -> None:
        self.probe, self.sweep = probe, sweep
        self.fits: WhatFitsSearch | None = None
        self.refusal = ""
        self._wanted, self._estimate = wanted, estimate
        self._part: BatchProbe | ImageSizeSweep | WhatFitsSearch | None = probe or sweep
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What is under way, in words; readable from any thread."""
        return "" if self._part is None else self._part.waiting_for

    def _events(self) -> Generator[ProberEvent, None, None]:
        if self.probe is not None:
            with closing(self.probe):
                for trial in self.probe:
                    if is_played(trial):
                        time.sleep(PLAYED_SECONDS)
                    yield trial
        if self.sweep is not None:
            self._part = self.sweep
            self.sweep.known = self._estimate if self.probe is None else self.probe.estimate
            with closing(self.sweep):
                yield from self.sweep
        estimate = self._estimate if self.probe is None else self.probe.estimate
        self._part = self.fits = None if self._wanted is None else self._search_of(estimate, self._wanted)
        if self.fits is not None:
            with closing(self.fits):
                yield from self.fits

    def _search_of(self, estimate: MemoryEstimate | None, wanted: int) -> WhatFitsSearch | None:
        if estimate is None:
            self.refusal = "the memory of this model is not predictable"
            return None
        try:
            return WhatFitsSearch(estimate, wanted)
        except ValueError as error:
            self.refusal = str(error)
            return None


def is_played(trial: MemoryTrial) -> bool:
    """Whether it was tried on a card that is not there."""
    return trial.why.startswith(PLAYED)


def judged(limit: BatchLimit, capacity: str | int | None) -> BatchLimit:
    """The same trials on another card. What was played on the old one, or failed on it alone, is left out.

    Args:
        limit: With an estimate.
        capacity: As in ``BatchSettings``.
    Raises:
        ValueError: For a capacity that is neither a size nor a known name.
    """
    estimate = limit.estimate.with_capacity(capacity)
    beside = [caveat for caveat in limit.caveats if caveat not in limit.estimate.caveats]
    caveats = (*estimate.caveats, *beside)
    again = (_judged(trial, estimate, limit.capacity_bytes) for trial in limit.trials if not is_played(trial))
    return BatchLimit.from_trials(
        [trial for trial in again if trial is not None], settings=replace(limit.settings, capacity=capacity),
        capacity_bytes=estimate.capacity_bytes, capacity_name=estimate.capacity_name, caveats=caveats,
        estimate=estimate, outcome=limit.outcome, data_form=limit.data_form,
    )  # fmt: skip


def _judged(trial: MemoryTrial, estimate: Any, capacity_before: int | None) -> MemoryTrial | None:
    if not trial.is_measured:
        k = trial.batch_size
        return replace(
            trial, fits=estimate.fits(k), predicted_bytes=estimate.peak_bytes(k), parts=estimate.parts(k),
            fits_with_retries=estimate.fits_with_retries(k),
        )  # fmt: skip
    now = estimate.capacity_bytes
    if trial.peak_bytes is not None:
        return replace(trial, fits=now is None or trial.peak_bytes <= now)
    is_smaller = now is not None and capacity_before is not None and now <= capacity_before
    return trial if is_smaller else None
