"""What every run of the engine offers to whoever carries it out, and what ending one means.

A run is an iterator of events. One thread iterates over it, and closes it when it wants no more; from any other thread
it may be read (``waiting_for``, ``total``), hurried and closed as well. Whatever ends it, everything it changed is put
back before the thread that iterates goes on, and what was seen by then is a valid, shorter result. In particular:

- **A stop** is the wish of whoever iterates to take no more events: it closes the run after the event under way, and
  hurries it meanwhile. **A second stop** is the first one again: it changes nothing and makes nothing faster.
- **A close by the thread that iterates** ends the run between two events and puts everything back there and then.
- **A close from another thread while a step runs** (or by the user's code from within it) cannot end that step. It
  marks and hurries the run, and returns at once. When the step is over, the thread that iterates still gets its event,
  and everything is put back before it does; the next one is the end. Between two events a close from another
  thread puts back at once, and whoever iterates waits for that.
- **An interrupt** is raised in a step like any error: what it was doing is put back and the run has ended. Where it
  hits anything else than the user's own code, it waits for the next step. **A second interrupt**, and every further
  one, waits until everything is put back (see ``nbtune.engine.interrupts``).
- A close before the first event, a second close, and one after the end, an error or an interrupt do nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from threading import Lock, get_ident
from typing import Generic, Protocol, TypeVar

from .interrupts import held_back
from .torch_modes import CallersModes

Event = TypeVar("Event")
Event_co = TypeVar("Event_co", covariant=True)


class Run(Protocol[Event_co]):
    """An iterator of events that says what it waits for and how long it is, and that can be ended."""

    @property
    def waiting_for(self) -> str:
        """What the step under way is doing, in words, such as "the training step"; readable from any thread."""

    @property
    def total(self) -> int | None:
        """How many steps there are in all, as far as can be said now; None where nobody knows.

        Of a run that trains, those are training steps at a rate, each of which is an event; else its events.
        """

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of its result should know besides, in sentences, as far as it is known now."""

    def hurry(self) -> None:
        """Let the piece under way end sooner, from any thread; harmless where nothing can."""

    def __iter__(self) -> Run[Event_co]: ...

    def __next__(self) -> Event_co: ...

    def close(self) -> None:
        """End it and put everything back; harmless when it has ended or never begun. See this module for threads."""


class GeneratorRun(ABC, Generic[Event]):
    """A run whose events a generator makes, which the first ``next`` begins.

    All of it is carried out in a training loop's modes, with the default device and dtype of whoever made the run.

    Args:
        events: Not yet begun, and held by nobody else; what it changes it puts back in ``finally``.
    Attributes:
        modes: torch's, in which it is carried out.
    """

    def __init__(self, events: Generator[Event, None, None]) -> None:
        self._generator = events
        self.modes = CallersModes()
        self._executing = Lock()
        self._stepping_in: int | None = None
        self._closing_in: int | None = None
        self._is_ending = False

    @property
    @abstractmethod
    def waiting_for(self) -> str:
        """What the step under way is doing, in words; readable from any thread."""

    @property
    def total(self) -> int | None:
        """How many steps there are in all, as far as can be said now; None where nobody knows."""
        return None

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of its result should know besides, in sentences, as far as it is known now."""
        return self.modes.left_out

    def hurry(self) -> None:
        """Let the piece under way end sooner, from any thread; harmless here, where nothing can."""

    def __iter__(self) -> GeneratorRun[Event]:
        return self

    def __next__(self) -> Event:
        """The next event.

        Raises:
            RuntimeError: When a step asks for the next one of its own run.
        """
        if get_ident() in (self._stepping_in, self._closing_in):
            raise RuntimeError("a run cannot be iterated over by its own step")
        # Held back inside the lock alone, since whoever waits for another thread must be able to give up.
        with self._executing, held_back(), self.modes.in_force():
            # Before the look at _is_ending: a close that comes later then finds a step to wait for.
            self._stepping_in = get_ident()
            try:
                if self._is_ending:
                    self._generator.close()
                event = next(self._generator)
            finally:
                self._stepping_in = None
        if self._is_ending:
            self.close()
        return event

    def close(self) -> None:
        """End it and put everything back; harmless when it has ended or never begun. See ``nbtune.engine.run``."""
        self._is_ending = True
        if self._stepping_in is not None:
            self.hurry()
        elif self._closing_in != get_ident():
            with self._executing, held_back(), self.modes.in_force():
                self._closing_in = get_ident()
                try:
                    self._generator.close()
                finally:
                    self._closing_in = None
