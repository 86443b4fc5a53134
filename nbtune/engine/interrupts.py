"""Where an interrupt may strike: inside the user's own steps, and nowhere else. Standard library only.

A KeyboardInterrupt can be raised between any two lines of Python, those that put a model back included. So while a
tool works in the main thread its signals are caught here: inside ``let_through`` (the user's code) they do at once
what they would have done anyway, everywhere else (``held_back``) they wait until that can do no harm. A second
interrupt waits too, until the first has been through everything that is put back. Other threads get no signals, and
for them all this does nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from types import CodeType
from typing import Any, TypeVar

from .errors import raise_of_used_up

Function = TypeVar("Function", bound=Callable[..., Any])

_SIGNALS = [getattr(signal, name) for name in ("SIGALRM", "SIGTERM", "SIGINT") if hasattr(signal, name)]
"""Those for which people set handlers that raise; SIGINT is given back last, so that nothing comes between."""

SWALLOWED_SECONDS = 2.0
"""So long after an interrupt that the user's code has caught itself, the same step can be interrupted again."""

NOT_PUT_BACK = "nbtune: this was raised while things were being put back: build the model and the optimizer anew"

_SHIELDED: set[CodeType] = set()


class Interrupted(KeyboardInterrupt):
    """The interrupt of a run, which everything is put back after; a notebook shows it in one line, without a traceback.

    Args:
        text: What became of the run.
        result: What was known by then; None for nothing.
    """

    def __init__(self, text: str, result: Any = None) -> None:
        super().__init__(text)
        self.result = result

    def _render_traceback_(self) -> list[str]:
        """Asked for by IPython: it would show how our own code waited, and where that was broken off."""
        return [f"Interrupted: {self}"]


class held_back(ContextDecorator):
    """``with held_back():`` no signal's handler is called inside; those that came are called, once each, behind it.

    Also a decorator. Held again inside, it changes nothing. If an interrupt is on its way out already, one that waits
    is the same wish again, and is dropped.
    """

    def __enter__(self) -> None:
        self._entry = _GATE.enter(lets_through=False)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        _GATE.leave(self._entry, error)

    def _recreate_cm(self) -> held_back:
        return held_back()  # each call of a decorated function has an entry of its own


class let_through:
    """``with let_through():`` around the user's own code, inside ``held_back``: what waits is raised before it begins.

    Whatever is inside must bear to be broken off between any two lines. Nothing is held where nothing holds.
    What is iterated over for us in there must not end: a StopIteration is taken for the user's (see ``errors``).
    """

    def __enter__(self) -> None:
        self._entry = _GATE.enter(lets_through=True)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        _GATE.leave(self._entry, error)
        raise_of_used_up(error)


def raise_waiting() -> None:
    """Raise what waits, here: between two pieces of long work that could not bear to be broken off in their midst."""
    with let_through():
        pass


def shielded(function: Function) -> Function:
    """The function, into which no signal strikes even in a block that lets it through.

    For callbacks of weak references and the like: what is raised there, Python writes out and forgets.
    """
    _SHIELDED.add(function.__code__)
    return function


def to_the_end(call: Callable[..., Any], *arguments: Any) -> None:
    """Call what puts something back, without interrupts.

    An exception that another thread sets (``PyThreadState_SetAsyncExc``) is no signal and cannot be held: one that is
    no ``Exception`` is raised after a second try, so ``call`` must bear being called again in the midst. An error of
    ``call`` itself says that not everything is as it was, see ``has_failed_to_put_back``.
    """
    with held_back():
        try:
            call(*arguments)
        except Exception as error:
            if not has_failed_to_put_back(error):
                error.add_note(NOT_PUT_BACK)
            raise
        except BaseException:
            call(*arguments)
            raise


def has_failed_to_put_back(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised for or amid, was raised by what puts something back."""
    while error is not None:
        if NOT_PUT_BACK in getattr(error, "__notes__", ()):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Gate:
    """What the main thread holds back, and what it is to do with a signal now.

    A signal may come between any two lines of this class as well. Each is written so that it then either waits, or
    is raised where nothing has been changed yet; the comments say which.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._levels: list[bool] = []  # of the blocks we are in: whether they let signals through
        self._handlers: dict[int, Any] = {}  # the user's own, in force outside
        self._waiting: dict[int, None] = {}  # signals in the order they came, each once
        self._raised: BaseException | None = None  # what a handler has raised in a block that lets through,
        self._raised_in, self._raised_at = -1, 0.0  # the place of that block, shut since then, and when it was
        self._is_leaving = False

    def enter(self, *, lets_through: bool) -> int | None:
        """The number of blocks around this one; None where this one is without effect."""
        if threading.get_ident() != threading.main_thread().ident or (lets_through and not self._levels):
            return None
        height = len(self._levels)
        if not height:
            self._take_over()
        # A signal that is raised behind this line leaves a level too many, and shut; the block around takes it away.
        self._levels.append(lets_through)
        if lets_through:
            self._settle(None)
        return height

    def leave(self, entry: int | None, error: BaseException | None) -> None:
        if entry is None:
            return
        if entry:
            del self._levels[entry:]
            if self._raised_in >= entry:
                self._raised_in = -1
            self._settle(error)
            return
        self._is_leaving = True  # signals wait from here on, until their own handlers are back
        self._levels.clear()
        self._raised, self._raised_in = None, -1
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._handle:  # else the user has set another meanwhile
                signal.signal(number, handler)
        waiting, self._waiting = self._waiting, {}
        self._is_leaving = False
        _call_all({number: self._handlers[number] for number in waiting}, error)

    def _take_over(self) -> None:
        # A signal between these lines meets the user's own handler, directly or through _handle.
        self._is_leaving, self._waiting = False, {}
        try:
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler) and handler != self._handle:
                    self._handlers[number] = handler
                    signal.signal(number, self._handle)
        except ValueError:  # a thread that is not the interpreter's main one after all gets no signals
            return

    def _handle(self, number: int, frame: Any) -> None:
        if self._lets_through(frame):
            self._call([number], None)
        else:
            self._waiting[number] = None

    def _settle(self, error: BaseException | None) -> None:
        """Call the handlers of what waits, if the block we are in now lets it through."""
        if self._waiting and self._lets_through(sys._getframe()):
            waiting, self._waiting = self._waiting, {}
            self._call(waiting, error)

    def _lets_through(self, frame: Any) -> bool:
        if self._is_leaving or (self._levels and not self._levels[-1] and not self._is_swallowed()):
            return False
        return not self._is_on_its_way() and not _is_shielded(frame)

    def _call(self, numbers: Iterable[int], error: BaseException | None) -> None:
        place = len(self._levels) - 1
        if place >= 0:
            self._levels[place] = False  # shut before anything is raised, so that it is raised once
        try:
            _call_all({number: self._handlers[number] for number in numbers}, error)
        except BaseException as raised:
            if place >= 0:
                self._raised, self._raised_in, self._raised_at = raised, place, time.monotonic()
            raise
        if place >= 0:
            self._levels[place] = True

    def _is_swallowed(self) -> bool:
        """Whether we are still in a block that what was raised in it should have left long ago."""
        is_same = self._raised is not None and self._raised_in == len(self._levels) - 1
        return is_same and time.monotonic() - self._raised_at > SWALLOWED_SECONDS

    def _is_on_its_way(self) -> bool:
        """Whether what was raised is being handled, or something that was raised meanwhile."""
        handled, seen = sys.exception(), set[int]()
        while handled is not None and id(handled) not in seen:
            if handled is self._raised:
                return True
            seen.add(id(handled))
            handled = handled.__context__
        return False


def _call_all(handlers: dict[int, Any], error: BaseException | None) -> None:
    """Call each, also when one before it raises."""
    left = dict(handlers)
    while left:
        number = next(iter(left))
        handler = left.pop(number)
        if handler is signal.default_int_handler and isinstance(error, KeyboardInterrupt):
            continue
        try:
            handler(number, sys._getframe())
        except BaseException as raised:
            _call_all(left, raised)
            raise


def _is_shielded(frame: Any) -> bool:
    while frame is not None and frame.f_code not in _SHIELDED:
        frame = frame.f_back
    return frame is not None


def _give_back_in_child() -> None:
    """A forked process (a loader's worker) has the user's own handlers."""
    handlers = dict(_GATE._handlers) if _GATE._levels else {}
    _GATE.forget()
    for number, handler in handlers.items():
        signal.signal(number, handler)


_GATE = _Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_back_in_child)
