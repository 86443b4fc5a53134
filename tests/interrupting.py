"""Interrupts thrown at a call: at chosen lines of the engine, or at random moments; one, or several in a row."""

from __future__ import annotations

import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tasks import everything, hard_task

import nbtune
from nbtune import compare_batch_sizes, estimate_curvature, find_batch_size, find_lr
from nbtune.engine import Task
from nbtune.engine.training.workpiece import held

Call = Callable[[Task], Any]

TOOLS: dict[str, Call] = {
    "find_lr race": lambda task: find_lr(task, rates=4, max_seconds=0.3, progress=False),
    "find_lr quick": lambda task: find_lr(task, mode="quick", steps=10, progress=False),
    "find_batch_size": lambda task: find_batch_size(task, max_batch_size=2, measure_seconds=0.05, progress=False),
    "compare_batch_sizes": lambda task: compare_batch_sizes(task, [16, 48], budget="1 epoch", progress=False),
    "estimate_curvature": lambda task: estimate_curvature(task, products=3),
}  # fmt: skip
PATHS = "copy", "in place"
IN_A_ROW = 10
ENGINE = str(Path(nbtune.__file__).parent / "engine")


def task_of(path: str) -> Task:
    """Of the shared tasks the one with most to put back; with a hook on a parameter it is not copied."""
    task = hard_task()
    if path == "in place":
        task.parameters[-1].register_hook(lambda grad: grad)
    return task


def surroundings() -> list[Any]:
    """What belongs to the process or the thread, and must be as it was too."""
    device = torch.get_default_device()
    return [
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM), list(warnings.filters),
        torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), device,
        torch.get_default_dtype(),
    ]  # fmt: skip


def what_is_changed(task: Task, call: Callable[[], Any]) -> list[str] | None:
    """Names of what is not as it was after a call that was interrupted; None where no interrupt got out of it."""
    before, around = everything(task), surroundings()
    try:
        call()
    except KeyboardInterrupt:
        pass
    else:
        return None
    after = everything(task)
    changed = [name for name in before if after[name] != before[name]]
    changed += [] if surroundings() == around else ["surroundings"]
    try:
        with held(task):
            return changed
    except RuntimeError:
        return [*changed, "busy"]


class Lines:
    """Counts the lines that run in the engine's files, and throws interrupts at one of them.

    To this thread, not to the process: another thread may take that one, and its handler then runs any time later.

    Args:
        at: The number of the line, from 1; 0 for none.
        again: The chance of another one at each later line.
        most: How many are thrown at most.
        seed: Of those chances.
    """

    def __init__(self, at: int = 0, *, again: float = 0.0, most: int = IN_A_ROW, seed: int = 0) -> None:
        self.count = self.thrown = 0
        self._at, self._again, self._most = at, again, most
        self._chances = random.Random(seed)

    @contextmanager
    def traced(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: Any, event: str, _: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(ENGINE) else None

    def _line(self, frame: Any, event: str, _: Any) -> Any:
        if event == "line":
            self.count += 1
            is_again = self.thrown and self.thrown < self._most and self._chances.random() < self._again
            if self.count == self._at or is_again:
                self.thrown += 1
                signal.raise_signal(signal.SIGINT)
        return self._line


def thrown_at_line(call: Call, task: Task, line: int, *, again: float = 0.0, seed: int = 0) -> list[str] | None:
    """What is changed after an interrupt at that line; None where it was not reached."""
    lines = Lines(line, again=again, seed=seed)

    def traced() -> None:
        with lines.traced():
            call(task)

    return what_is_changed(task, traced)


def thrown_after(call: Call, task: Task, seconds: float, *, interval: float = 0.0) -> list[str] | None:
    """What is changed after an interrupt at that moment (and at each ``interval``); None where the call was over."""
    thrown: list[int] = []

    def throw(_: int, frame: Any) -> None:
        if len(thrown) == IN_A_ROW or not _is_in_engine(frame):
            signal.setitimer(signal.ITIMER_REAL, 0)
            return
        thrown.append(1)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, throw)

    def timed() -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds, interval)
        try:
            call(task)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    try:
        return what_is_changed(task, timed)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_in_engine(frame: Any) -> bool:
    """Whether the call is still under way: a timer may also go off just behind it."""
    while frame is not None and not frame.f_code.co_filename.startswith(ENGINE):
        frame = frame.f_back
    return frame is not None


def lines_of(call: Call, task: Task) -> int:
    """How many lines of the engine run in an uninterrupted call."""
    lines = Lines()
    with lines.traced():
        call(task)
    return lines.count
