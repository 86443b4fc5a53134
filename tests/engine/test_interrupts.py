# ruff: noqa: PT012 (what happens inside the blocks is what is tested)
"""Interrupts strike in the user's own steps alone; whatever is being put back comes to its end first."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from interrupting import IN_A_ROW, PATHS, TOOLS, lines_of, task_of, thrown_after, thrown_at_line
from tasks import everything, hard_task, plain_task
from torch import nn

from nbtune.engine import Task, find_lr, interrupts, sweep_lr
from nbtune.engine.interrupts import (
    has_failed_to_put_back,
    held_back,
    let_through,
    raise_waiting,
    shielded,
    to_the_end,
)
from nbtune.engine.training import backup
from nbtune.engine.training.loader_state import LoaderState


def interrupt(times: int = 1) -> None:
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


# Held, let through, raised afterwards


@pytest.mark.parametrize("times", [1, IN_A_ROW])
def test_an_interrupt_waits_for_the_end_of_a_held_block_and_is_raised_once(times: int) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt) as raised, held_back():
        with held_back():
            interrupt(times)
            done.append("inside")
        done.append("outside")
    assert done == ["inside", "outside"] and raised.value.__context__ is None


def test_an_interrupt_of_the_users_code_is_raised_there_and_the_next_ones_wait_until_it_is_out() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), held_back():
        try:
            try:
                with let_through():
                    interrupt()
                    seen.append("never")
            finally:
                interrupt(IN_A_ROW)
                seen.append("put back")
        except KeyboardInterrupt:
            interrupt()
            seen.append("told")
            raise
    assert seen == ["put back", "told"]


def test_cleaning_up_inside_the_users_code_is_not_interrupted_a_second_time() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), held_back(), let_through():
        try:
            interrupt()
        finally:
            interrupt(3)
            seen.append("cleaned up")
    assert seen == ["cleaned up"]


def test_code_that_swallows_an_interrupt_can_be_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "SWALLOWED_SECONDS", 0.0)
    swallowed = []
    with held_back(), let_through():
        for _ in range(3):
            try:
                interrupt()
            except KeyboardInterrupt:
                swallowed.append(1)
    assert len(swallowed) == 3


def test_a_callback_that_python_would_swallow_an_interrupt_of_is_not_hit() -> None:
    class Thing:
        pass

    def gone(_: Any) -> None:
        interrupt()
        seen.append("gone")

    thing, seen = Thing(), list[str]()
    reference = weakref.ref(thing, shielded(gone))
    with pytest.raises(KeyboardInterrupt), held_back(), let_through():
        del thing
        seen.append("the step goes on")
        raise_waiting()
        seen.append("never")
    assert seen == ["gone", "the step goes on"] and reference() is None


def test_what_waits_is_raised_before_the_users_code_begins() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), held_back():
        interrupt()
        seen.append("engine")
        with let_through():
            seen.append("never")
    with pytest.raises(KeyboardInterrupt), held_back():
        interrupt()
        raise_waiting()
        seen.append("never")
    assert seen == ["engine"]


def test_a_held_block_inside_the_users_code_raises_at_its_end() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), held_back(), let_through():
        with held_back():
            interrupt()
            seen.append("held")
        seen.append("never")
    assert seen == ["held"]


def test_every_handler_of_the_users_is_called_once_for_all_its_signals_and_is_there_again() -> None:
    called: list[int] = []
    before = [signal.signal(number, lambda n, _: called.append(n)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with held_back():
            interrupt(2)
            signal.raise_signal(signal.SIGTERM)
            assert called == []
            with let_through():
                assert called == [signal.SIGINT, signal.SIGTERM]
                interrupt()
        assert called == [signal.SIGINT, signal.SIGTERM, signal.SIGINT]
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)


def test_a_handler_set_inside_is_kept() -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_back(), let_through():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.signal(signal.SIGINT, before) == signal.SIG_IGN


def test_an_error_comes_out_of_a_held_block_as_it_is_and_an_interrupt_after_it() -> None:
    with pytest.raises(ValueError, match="boom"), held_back():
        raise ValueError("boom")
    with pytest.raises(KeyboardInterrupt) as raised, held_back():
        interrupt()
        raise ValueError("boom")
    assert isinstance(raised.value.__context__, ValueError)


def test_other_threads_hold_nothing() -> None:
    seen = []

    def hold() -> None:
        with held_back(), let_through(), held_back():
            seen.append(signal.getsignal(signal.SIGINT) is before)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert seen == [True]


def test_what_an_exception_from_another_thread_breaks_off_is_done_again() -> None:
    calls = []

    def put_back() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_the_end(put_back)
    assert len(calls) == 2


def _dies_of_it(ready: Any) -> None:
    ready.send(signal.getsignal(signal.SIGINT) is signal.default_int_handler)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_process_has_the_users_handlers() -> None:
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    with held_back():
        child = context.Process(target=_dies_of_it, args=(sending,))
        child.start()
        child.join()
    assert receiving.recv()


# A tool


def uncopied(task: Task) -> Task:
    task.parameters[-1].register_hook(lambda grad: grad)
    return task


@pytest.mark.parametrize("mode", ["quick", "race"])
def test_interrupts_while_tensors_are_put_back_leave_everything_as_it_was(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, put, steps = uncopied(hard_task()), backup._put_back_tensor, list[int]()

    def interrupted(tensor: torch.Tensor, saved: Any) -> None:
        interrupt(IN_A_ROW)
        put(tensor, saved)

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 7:
            interrupt(2)
        return nn.functional.cross_entropy(output, target)

    monkeypatch.setattr(backup, "_put_back_tensor", interrupted)
    task.loss_fn = loss_fn
    before = everything(task)
    with pytest.raises(KeyboardInterrupt):
        find_lr(task, mode=mode, progress=False)
    assert everything(task) == before
    monkeypatch.undo()
    steps += [1] * 7
    assert find_lr(task, mode="quick", steps=10, progress=False).steps


@pytest.mark.parametrize("name", ["put_back", "mark", "__init__"])
def test_interrupts_while_the_loaders_order_is_kept_or_put_back_leave_it_as_it_was(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, method = hard_task(), getattr(LoaderState, name)

    def interrupted(state: LoaderState, *arguments: Any) -> None:
        interrupt()
        method(state, *arguments)

    monkeypatch.setattr(LoaderState, name, interrupted)
    before = everything(task)
    with pytest.raises(KeyboardInterrupt):
        find_lr(task, mode="quick", steps=10, progress=False)
    assert everything(task) == before


def test_a_run_that_is_closed_is_put_back_before_an_interrupt_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    task, put = uncopied(plain_task()), LoaderState.put_back

    def interrupted(state: LoaderState) -> None:
        interrupt()
        put(state)

    before = everything(task)
    run = sweep_lr(task)
    next(run)
    monkeypatch.setattr(LoaderState, "put_back", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.close()
    assert everything(task) == before


TRIES = 50
"""Of interrupts at random moments, before it is said that they never hit a call."""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("tool", TOOLS)
def test_nothing_is_left_behind_by_interrupts_at_chosen_and_random_moments(tool: str, path: str) -> None:
    """The benchmark ``interrupts.py`` in short."""
    call, task = TOOLS[tool], task_of(path)
    lines, interrupted = lines_of(call, task), 0
    for part in range(1, 7):
        line = lines * part // 7
        changed = thrown_at_line(call, task, line, again=part % 2 * 20 / lines, seed=part)
        assert not changed, f"line {line} of {lines}"
        interrupted += changed is not None
    assert interrupted
    # None: all of them came before the call, or behind it.
    tries = (thrown_after(call, task, 1e-3, interval=2e-4) for _ in range(TRIES))
    assert next((changed for changed in tries if changed is not None), None) == []


def test_an_error_of_putting_back_is_told_from_an_error_of_the_step() -> None:
    def fail() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full") as caught:
        to_the_end(lambda: to_the_end(fail))
    assert has_failed_to_put_back(caught.value) and len(caught.value.__notes__) == 1
    wrapped = RuntimeError("after it")
    wrapped.__context__ = caught.value
    assert has_failed_to_put_back(wrapped)
    assert not has_failed_to_put_back(OSError("full")) and not has_failed_to_put_back(None)
