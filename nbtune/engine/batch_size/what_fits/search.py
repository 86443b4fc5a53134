"""Every change estimated, one after the other: singles, accumulation, then the pairs that may be needed."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Literal

from ...errors import first_line
from ...memory.estimate import MemoryEstimate
from ...memory.rehearsal.replica import NO_BLOCKS
from ...run import GeneratorRun
from .changes import CHECKPOINTING, MIXED, OF_A_MEAN, Change, accumulations, compatible, do_go_together, single_changes
from .result import MemoryChange, WhatFits

MORE_TOGETHER = 1.25
"""What two changes save at once is taken to be no more than this times what they save by themselves."""
HELPS = 0.97
"""A change that leaves more than this share of what grows beside the context is paired with no other."""


class WhatFitsSearch(GeneratorRun[MemoryChange]):
    """A run of ``MemoryChange``, each the estimate of one change; the first is training as it is.

    Single changes come first, then accumulation, which is replayed from what was traced, then pairs: the usual one
    (checkpointing and mixed precision), and of those that help and are not enough. Where no pair is enough either,
    all that help are tried together.

    Args:
        estimate: Of the task as it is, for the card.
        batch_size: Samples in an update.
    Attributes:
        left_out: What could not be estimated, and why.
    Raises:
        ValueError: Where no capacity is known, or only real steps could be traced.
    """

    def __init__(self, estimate: MemoryEstimate, batch_size: int) -> None:
        if estimate.capacity_bytes is None:
            raise ValueError('nobody says how much memory there is: name a card, e.g. capacity="8 GB"')
        if estimate.method == "real steps":
            raise ValueError("this model was traced in real steps, so that no change can be estimated")
        if not estimate.plan.is_training:
            raise ValueError("changes are to training: give the estimate that the evaluation was made of")
        self._estimate, self._k = estimate, batch_size
        self._card = estimate.capacity_bytes, estimate.capacity_name
        self._waiting_for = "the estimate as it is"
        self._splits, self._has_split = accumulations(estimate, batch_size), False
        self._assumed: tuple[str, ...] = ()
        self.left_out: tuple[str, ...] = ()
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What is being estimated, in words; readable from any thread."""
        return self._waiting_for

    def result(self, changes: Iterable[MemoryChange], outcome: Literal["finished", "stopped"] = "finished") -> WhatFits:
        """What the rows so far say, with what the search knows beside them."""
        of_a_mean = (OF_A_MEAN,) if self._has_split else ()
        return WhatFits.from_changes(
            changes, batch_size=self._k, card=self._card, outcome=outcome, left_out=self.left_out,
            caveats=(*self._estimate.caveats, *self._assumed, *self._shortage(), *of_a_mean),
            data_form=self._estimate.task.data_form,
        )  # fmt: skip

    def _shortage(self) -> list[str]:
        count = self._estimate.samples.count
        return [] if count is None or count >= self._k else [f"The data have only {count} samples."]

    def _events(self) -> Generator[MemoryChange, None, None]:
        as_it_is = self._row(Change(), self._estimate)
        yield as_it_is
        if as_it_is.fits:
            return
        found: dict[str, tuple[Change, MemoryChange]] = {}
        for change in single_changes(self._estimate, self._k):
            for row in self._estimated(change):
                found[change.name] = change, row
                yield row
        split = list(self._accumulated(Change(), as_it_is))
        yield from split
        yield from self._pairs(as_it_is, found, [row for row in split if row.fits])

    def _estimated(self, change: Change) -> Iterator[MemoryChange]:
        self._waiting_for = f"the estimate with {change.name}"
        changed = self._estimate.changed(**change.plan)
        try:
            row = self._row(change, changed)
        except Exception as error:  # the model takes no other image, an optimizer no such parameters
            self.left_out = (*self.left_out, f"{change.name} ({first_line(error).rstrip('.')})")
            return
        if NO_BLOCKS in changed.traced_caveats:
            self.left_out = (*self.left_out, f"{change.name} (the model has no list of blocks to put it around)")
            return
        said = (caveat for caveat in changed.traced_caveats if caveat not in self._estimate.caveats)
        self._assumed = tuple(dict.fromkeys((*self._assumed, *said)))
        yield row

    def _accumulated(self, change: Change, alone: MemoryChange) -> Iterator[MemoryChange]:
        """Down to the first split that fits; none, where the smallest does not take less."""
        splits = self._splits
        if not splits:
            return
        self._waiting_for = "accumulation" if not change.name else f"accumulation with {change.name}"
        source = self._estimate.changed(**change.plan)
        if change.plan and len(splits) > 1:
            source.find_law()
        source = source.accumulating()
        for split in splits:
            try:
                row = self._row(change + split if change.name else split, source)
            except Exception:  # BatchNorm takes no single value
                return
            if row.peak_bytes < alone.peak_bytes:
                self._has_split = True
                yield row
            if row.fits:
                return

    def _pairs(
        self, as_it_is: MemoryChange, found: dict[str, tuple[Change, MemoryChange]], fitting_splits: list[MemoryChange]
    ) -> Iterator[MemoryChange]:
        context = self._estimate.context_bytes
        worth = HELPS * (as_it_is.peak_bytes - context) + context
        helping = {name: (change, row) for name, (change, row) in found.items() if row.peak_bytes < worth}
        short = _furthest((change, row) for change, row in helping.values() if not row.fits)
        rows: list[MemoryChange] = []
        short_of = as_it_is.needed_bytes - self._card[0]
        saved = {change.name: as_it_is.peak_bytes - row.peak_bytes for change, row in short}
        for pair in _paired(
            short,
            saved,
            short_of / MORE_TOGETHER,
            usual=[helping[name][0] for name in (CHECKPOINTING, MIXED) if name in helping],
        ):
            rows += (made := list(self._estimated(pair)))
            yield from made
        for change, row in short if not fitting_splits else ():
            rows += (made := list(self._accumulated(change, row)))
            yield from made
        if not any(row.fits for row in (*rows, *fitting_splits, *(row for _, row in helping.values()))):
            yield from self._together(short)

    def _together(self, short: list[tuple[Change, MemoryChange]]) -> Iterator[MemoryChange]:
        """Of those that exclude each other, the one that takes less."""
        least_first = sorted(short, key=lambda found: found[1].peak_bytes)
        changes = compatible(change for change, _ in least_first)
        if len(changes) < 2:
            return
        everything = sum(changes[1:], changes[0])
        for row in self._estimated(everything):
            yield row
            yield from self._accumulated(everything, row)

    def _row(self, change: Change, estimate: MemoryEstimate) -> MemoryChange:
        k = -(-self._k // change.accumulate)
        peak = estimate.peak_bytes(k)
        return MemoryChange(
            name=change.name, effect=change.effect, cost=change.cost, changes=tuple(change.plan.items()), batch_size=k,
            accumulate=change.accumulate, peak_bytes=peak, needed_bytes=estimate.needed_bytes(k),
            free_bytes=self._card[0] - peak, fits=estimate.fits(k), fits_with_retries=estimate.fits_with_retries(k),
            rank=change.rank,
        )  # fmt: skip


def _furthest(found: Iterable[tuple[Change, MemoryChange]]) -> list[tuple[Change, MemoryChange]]:
    """Of several that change the same thing, such as sizes of images, the one that takes least."""
    best: dict[frozenset[str], tuple[Change, MemoryChange]] = {}
    for change, row in found:
        key = frozenset(change.plan)
        if key not in best or row.peak_bytes < best[key][1].peak_bytes:
            best[key] = change, row
    return list(best.values())


def _paired(
    short: list[tuple[Change, MemoryChange]], saved: dict[str, int], needed: float, usual: list[Change]
) -> list[Change]:
    """Two of those that are not enough by themselves, where both may save what is needed; and the usual pair."""
    changes = [change for change, _ in short]
    both = [(first, second) for i, first in enumerate(changes) for second in changes[i + 1 :]]
    enough = [pair for pair in both if saved[pair[0].name] + saved[pair[1].name] >= needed]
    pairs = [first + second for first, second in enough if do_go_together(first, second)]
    common = [usual[0] + usual[1]] if len(usual) == 2 else []
    return [*(pair for pair in common if pair not in pairs), *pairs]
