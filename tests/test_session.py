"""A session takes events from a run in a thread of its own; every wait here is for a condition."""

from __future__ import annotations

import _thread
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nbtune.session import Session

PATIENCE_SECONDS = 120


class Run:
    """An iterator that notes who closes it, and when."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events, self.closed_in = events, []
        self.state_at_close: Callable[[], str] = lambda: ""
        self.seen_at_close: list[str] = []

    def __iter__(self) -> Run:
        return self

    def __next__(self) -> Any:
        self.advanced_in = threading.current_thread()
        return next(self.events)

    def close(self) -> None:
        self.closed_in.append(threading.current_thread())
        self.seen_at_close.append(self.state_at_close())


def ended(session: Session[Any]) -> Session[Any]:
    session.start()
    assert session.wait(PATIENCE_SECONDS)
    return session


def test_events_are_shown_in_order_and_the_last_ones_too() -> None:
    shown: list[int] = []
    session = ended(Session(iter(range(100)), shown.extend))
    assert shown == list(range(100))
    assert session.state == "done" and session.error is None


def test_many_events_are_shown_in_few_calls() -> None:
    calls: list[list[int]] = []
    ended(Session(iter(range(1000)), calls.append, throttle_seconds=60))
    assert calls == [[0], list(range(1, 1000))]


def test_events_are_shown_while_the_run_waits_for_the_next_one() -> None:
    shown: list[int] = []
    all_shown, gate = threading.Event(), threading.Event()

    def events() -> Iterator[int]:
        yield from (1, 2, 3)
        gate.wait(PATIENCE_SECONDS)

    def show(events: list[int]) -> None:
        shown.extend(events)
        if len(shown) == 3:
            all_shown.set()

    session = Session(events(), show)
    session.start()
    assert all_shown.wait(PATIENCE_SECONDS)
    gate.set()
    assert session.wait(PATIENCE_SECONDS) and shown == [1, 2, 3]


def test_the_run_is_closed_by_the_thread_that_ran_it_before_the_session_says_that_it_is_done() -> None:
    run, order = Run(iter(range(3))), []
    session = Session(run, lambda events: None, on_state=order.append, finish=lambda: order.append("finish"))
    run.state_at_close = lambda: session.state
    ended(session)
    assert run.closed_in == [run.advanced_in] and run.advanced_in is not threading.current_thread()
    assert run.seen_at_close == ["running"]
    assert order == ["running", "finish", "done"]
    assert session.is_closed


def test_stop_ends_an_endless_run_and_keeps_what_was_seen() -> None:
    shown: list[int] = []
    states: list[str] = []

    def endless() -> Iterator[int]:
        yield from iter(int, 1)

    run = Run(endless())

    def show(events: list[int]) -> None:
        shown.extend(events)
        session.stop()

    session = Session(run, show, on_state=states.append)
    run.state_at_close = lambda: session.state
    ended(session)
    assert shown and session.is_stopped
    assert states == ["running", "stopping", "done"]
    assert run.seen_at_close == ["stopping"] and session.error is None


def test_stop_returns_at_once_while_the_run_is_stuck() -> None:
    gate, stuck = threading.Event(), threading.Event()

    def events() -> Iterator[int]:
        stuck.set()
        gate.wait(PATIENCE_SECONDS)
        yield 1

    session = Session(events(), lambda events: None)
    session.start()
    assert stuck.wait(PATIENCE_SECONDS)
    session.stop()
    assert session.state == "stopping" and not session.wait(timeout=0)
    gate.set()
    assert session.wait(PATIENCE_SECONDS) and session.state == "done"


def test_a_stop_that_comes_when_the_run_has_ended_by_itself_is_none() -> None:
    run, states = Run(iter(range(3))), []
    session = Session(run, lambda events: None, on_state=states.append, finish=lambda: session.stop())
    ended(session)
    session.stop()
    assert states == ["running", "done"] and session.state == "done" and not session.is_stopped


def test_a_second_stop_is_the_first_one_again_and_each_hurries_the_run() -> None:
    gate, stuck, hurried = threading.Event(), threading.Event(), []

    class Long(Run):
        def hurry(self) -> None:
            hurried.append(threading.current_thread())

    def events() -> Iterator[int]:
        stuck.set()
        gate.wait(PATIENCE_SECONDS)
        yield 1

    run, states = Long(events()), []
    session = Session(run, lambda events: None, on_state=states.append)
    session.start()
    assert stuck.wait(PATIENCE_SECONDS)
    session.stop()
    session.stop()
    gate.set()
    assert session.wait(PATIENCE_SECONDS)
    assert states == ["running", "stopping", "done"] and len(run.closed_in) == 1
    assert hurried == 2 * [threading.current_thread()]


def test_an_error_in_the_run_is_kept_after_the_run_was_closed() -> None:
    def events() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("at the second step")

    shown: list[int] = []
    run = Run(events())
    session = ended(Session(run, shown.extend, throttle_seconds=60))
    assert session.state == "failed" and isinstance(session.error, ZeroDivisionError)
    assert session.error.__traceback__ is not None
    assert shown == [1] and len(run.closed_in) == 1


@pytest.mark.parametrize("error", [ValueError("no such column"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_in_show_closes_the_run_and_is_a_failure(error: BaseException) -> None:
    def show(events: list[int]) -> None:
        raise error

    run = Run(iter(range(10)))
    session = ended(Session(run, show))
    assert session.state == "failed" and session.error is error
    assert len(run.closed_in) == 1


def test_an_error_while_closing_is_a_failure_and_the_run_does_not_count_as_closed() -> None:
    class Unclosable(Run):
        def close(self) -> None:
            raise OSError("cannot put the model back")

    session = ended(Session(Unclosable(iter(range(3))), lambda events: None))
    assert session.state == "failed" and isinstance(session.error, OSError)
    assert not session.is_closed


def test_an_error_lets_go_of_what_the_failed_code_held() -> None:
    class Tensor:
        pass

    held: list[weakref.ref[Tensor]] = []

    def events() -> Iterator[int]:
        activations = Tensor()
        held.append(weakref.ref(activations))
        yield 1
        raise RuntimeError("out of memory")

    session = ended(Session(events(), lambda events: None))
    assert session.error is not None and held[0]() is None


def test_an_interrupt_gets_through_to_whoever_waits_and_the_run_goes_on() -> None:
    waits, gate = threading.Event(), threading.Event()

    def events() -> Iterator[int]:
        yield 1
        waits.wait(PATIENCE_SECONDS)
        _thread.interrupt_main()  # before or in the wait: either way the waiter gets it
        gate.wait(PATIENCE_SECONDS)

    session = Session(events(), lambda events: None)
    session.start()

    def cell() -> None:
        waits.set()
        session.wait()

    with pytest.raises(KeyboardInterrupt):
        cell()
    assert session.state == "running" and not session.has_ended
    gate.set()
    assert session.wait(PATIENCE_SECONDS)


def test_a_session_runs_once() -> None:
    session = ended(Session(iter(range(3)), lambda events: None))
    with pytest.raises(RuntimeError, match="runs once"):
        session.start()
