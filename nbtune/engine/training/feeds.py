"""Where a trainer's batches come from: a loader of its own, or batches that several share."""

from __future__ import annotations

from contextlib import ExitStack, closing
from itertools import islice
from typing import Any, Protocol

import torch

from .. import waits
from ..interrupts import held_back, let_through
from ..task import batches
from ..task.task import Task
from .holdings import bytes_in
from .kept import Keeper, tree_of
from .loader_state import LoaderState
from .random_streams import RandomStreams
from .room import HOST, Ledger, keeper_for

_SEED = 1
"""Of the shared batches' random numbers: not that of the trainers', whose dropout would go with the shuffling."""


COUNTED_BYTES = 2**24
"""Each time so many bytes of batches more are kept, it is counted whether they still fit."""


class Feed(Protocol):
    """Batch after batch, on any device."""

    def __next__(self) -> Any: ...

    def mark(self) -> None:
        """Called at the end of each stretch of steps."""

    def close(self) -> None:
        """Let go of the loader."""


class LoaderFeed:
    """A loader's batches without end, drawn with whatever random streams are in force."""

    def __init__(self, loader: Any, state: LoaderState) -> None:
        self._batches, self._state = batches.endless(loader), state

    def __next__(self) -> Any:
        with waits.current().drawing():
            return next(self._batches)

    def mark(self) -> None:
        self._state.mark()

    def close(self) -> None:
        self._batches.close()  # type: ignore[attr-defined]


def first_batches(loader: Any, count: int, streams: RandomStreams) -> list[Any]:
    """The first ``count`` batches of a loader (all, if there are fewer), which is afterwards as it was.

    Args:
        loader: Of held-out data.
        count: How many are wanted.
        streams: Random numbers they are drawn with.
    """
    state = LoaderState(loader)
    try:
        with streams, waits.current().drawing(), let_through():
            found = list(islice(batches.one_pass(loader), count))
        state.mark()
        return found
    finally:
        state.put_back()


class Tape:
    """Keeps every batch of a feed, so that they can be read again from the first: on disk, where memory gets short.

    Args:
        feed: Whose batches they are.
        ledger: Of what the run holds; None to count nothing.
    """

    def __init__(self, feed: Feed, ledger: Ledger | None = None) -> None:
        self._feed, self._ledger = feed, ledger
        self._kept = list[Any]()
        self._of_disk = 0  # so many of the last ones
        self._uncounted = 0
        self._undo = ExitStack()
        self._keeper: Keeper | None = None

    def at(self, index: int) -> Any:
        """The batch of this index, from 0.

        Raises:
            NotEnoughMemoryError: Where there is no room for more of them, in memory or on disk.
        """
        while index >= len(self._kept):
            self._kept.append(self._kept_form(next(self._feed)))
        is_on_disk = index >= len(self._kept) - self._of_disk
        return tree_of(self._kept[index], lambda kept: kept.made()) if is_on_disk else self._kept[index]

    def _kept_form(self, batch: Any) -> Any:
        size = bytes_in(batch)
        self._uncounted += size
        if self._keeper is None and self._ledger is not None and self._uncounted > COUNTED_BYTES:
            kept = keeper_for(self._uncounted, self._ledger, "what was drawn of data that come only once")
            self._undo.enter_context(closing(kept))
            self._undo.enter_context(self._ledger.holding(HOST, 0 if kept.is_on_disk else self._uncounted))
            self._keeper, self._uncounted = kept if kept.is_on_disk else None, 0
        if self._keeper is None:
            return batch
        self._of_disk += 1
        return tree_of(batch, self._keeper.keep)

    def reader(self) -> TapeReader:
        """A feed from the first batch on."""
        return TapeReader(self)

    def mark(self) -> None:
        self._feed.mark()

    def close(self) -> None:
        self._feed.close()
        self._undo.close()


class TapeReader:
    """One reading of a tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape, self._index = tape, -1

    def __next__(self) -> Any:
        self._index += 1
        return self._tape.at(self._index)

    def mark(self) -> None:
        self._tape.mark()

    def close(self) -> None:
        """The tape goes on."""


class GivenBatches:
    """A few batches, once."""

    def __init__(self, given: list[Any]) -> None:
        self._given = iter(given)

    def __next__(self) -> Any:
        return next(self._given)

    def mark(self) -> None:
        """Nothing was drawn."""

    def close(self) -> None:
        """Nothing to let go of."""


class SharedBatches:
    """The same batches for several trainers, drawn once with random streams of their own.

    A few lie ready at a time (``advance``). Each reader gets containers of its own, since steps may take things out of
    them, and tensors of its own as soon as one step was seen to write into its batch.

    Args:
        task: Whose loader is drawn from.
        state: The loader's.
        tape: What was and will be drawn, for data that cannot be drawn a second time; it outlives these batches.
    """

    def __init__(self, task: Task, state: LoaderState, tape: Tape | None = None) -> None:
        self._own = None if tape is not None else LoaderFeed(task.loader, state)
        self._feed: Feed = self._own or tape.reader()  # type: ignore[union-attr]
        self._device = task.device
        self._streams = RandomStreams(task.device, _SEED)
        self.window: list[Any] = []
        self.first: tuple[list[torch.Tensor], list[int]] | None = None
        self.needs_clones = False
        self._was_read = False

    def advance(self, count: int) -> None:
        """Let the next ``count`` batches lie ready, in place of those before."""
        self.window = []  # first, so that no more than one window takes memory
        with self._streams:
            try:
                with let_through():
                    drawn = [next(self._feed) for _ in range(count)]
            finally:
                self._feed.mark()
        self.window = [batches.to_device(batch, self._device) for batch in drawn]

    def reader(self) -> SharedFeed:
        """A feed from the first batch of the next window on."""
        return SharedFeed(self)

    @held_back()
    def close(self) -> None:
        self._streams.put_back()
        if self._own is not None:
            self._own.close()

    def handed_out(self, index: int) -> Any:
        batch = self.window[index]
        if self._was_read and not self.needs_clones:
            return batches.with_own_containers(batch)
        own = batches.with_own_containers(batch, clones=True)
        if not self._was_read:
            self._was_read = True
            tensors = list(batches.tensors_of(own))
            self.first = tensors, [tensor._version for tensor in tensors]
        return own

    def draw_another(self) -> None:
        """One batch more beside those that lie ready, for a reader that has skipped some; inside a reader's step.

        Its random numbers are those of that step's streams: only one run's can be in force.
        """
        try:
            self.window.append(batches.to_device(next(self._feed), self._device))
        finally:
            self._feed.mark()

    def look_for_writes(self) -> None:
        """Whether the first step wrote into its batch, a clone: then others get clones too."""
        if self.first is not None:
            tensors, versions = self.first
            self.needs_clones = [tensor._version for tensor in tensors] != versions
            self.first = None


class SharedFeed:
    """One reader of ``SharedBatches``."""

    def __init__(self, shared: SharedBatches) -> None:
        self._shared, self._window, self._index = shared, shared.window, 0

    def __next__(self) -> Any:
        if self._window is not self._shared.window:
            self._window, self._index = self._shared.window, 0
        self._shared.look_for_writes()
        if self._index >= len(self._window):
            self._shared.draw_another()
        self._index += 1
        return self._shared.handed_out(self._index - 1)

    def mark(self) -> None:
        self._shared.look_for_writes()

    def close(self) -> None:
        """Nothing of its own to let go of."""
