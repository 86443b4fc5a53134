"""Interrupts and Stops thrown at a call: at chosen lines, or at random moments; one, or several in a row."""

from __future__ import annotations

import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tasks import everything, hard_task
from torch import nn

import nbtune
from nbtune import compare_batch_sizes, estimate_curvature, find_batch_size, find_lr
from nbtune.engine import Task
from nbtune.engine.training.workpiece import held
from nbtune.jobs import BOARD

Call = Callable[[Task], Any]
Kind = Literal["interrupt", "stop", "both"]

TOOLS: dict[str, Call] = {
    "find_lr race": lambda task: find_lr(task, rates=4, max_seconds=0.3, progress=False),
    "find_lr quick": lambda task: find_lr(task, mode="quick", steps=10, progress=False),
    "find_lr repeats": lambda task: find_lr(task, mode="quick", steps=10, repeats=3, progress=False),
    "find_lr batch sizes": lambda task: find_lr(
        task, mode="quick", steps=10, batch_sizes=[8, 16], progress=False
    ),
    "find_batch_size": lambda task: find_batch_size(task, max_batch_size=2, measure_seconds=0.05, progress=False),
    "compare_batch_sizes": lambda task: compare_batch_sizes(task, [16, 48], budget="1 epoch", progress=False),
    "estimate_curvature": lambda task: estimate_curvature(task, products=3),
}  # fmt: skip
PATHS = "copy", "in place"
IN_A_ROW = 10
ENGINE = str(Path(nbtune.__file__).parent / "engine")


class Noisy(nn.Module):
    """Draws from generators of its own, and replaces a tensor that is no buffer: both are put back as well."""

    def __init__(self) -> None:
        super().__init__()
        self.torch_generator = torch.Generator().manual_seed(5)
        self.numpy_generator = np.random.default_rng(5)
        self.python_generator = random.Random(5)
        self.last = torch.zeros(2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.last = inputs.detach().mean(0)
        size = self.numpy_generator.normal() + self.python_generator.random()
        return inputs + 1e-3 * size * torch.randn(inputs.shape, generator=self.torch_generator)


def task_of(path: str) -> Task:
    """Of the shared tasks the one with most to put back; with a hook on a parameter it is not copied."""
    task = hard_task()
    task.model.append(Noisy())
    if path == "in place":
        task.parameters[-1].register_hook(lambda grad: grad)
    return task


def belongings(task: Task) -> dict[str, Any]:
    """What ``everything`` does not look at: the objects themselves, what hangs on them, generators that they keep."""
    modules, parameters = list(task.model.modules()), list(task.model.parameters())
    sampler, noisy = getattr(task.loader, "sampler", None), modules[-1]
    return {
        "objects": [id(p) for p in parameters] + [p.data_ptr() for p in parameters],
        "more hooks": [
            [len(value) for name, value in sorted(vars(m).items()) if name.endswith("_hooks")] for m in modules
        ] + [len(p._backward_hooks or ()) + len(p._post_accumulate_grad_hooks or ()) for p in parameters],
        "names": [sorted(vars(thing)) for thing in (*modules, task.optimizer, task.loader, task)],
        "groups": [sorted(map(str, group)) for group in task.optimizer.param_groups],
        "sampler": None if (own := getattr(sampler, "generator", None)) is None else own.get_state().tolist(),
        "kept generators": repr((
            noisy.torch_generator.get_state().tolist(), noisy.numpy_generator.bit_generator.state,
            noisy.python_generator.getstate(),
        )),
        "replaced tensor": noisy.last.tolist(),
    }  # fmt: skip


def surroundings() -> dict[str, Any]:
    """What belongs to the process or the thread, and must be as it was too."""
    cudnn, numbers = torch.backends.cudnn, (signal.SIGINT, signal.SIGALRM, signal.SIGTERM)
    return {
        "signal handlers": [signal.getsignal(number) for number in numbers],
        "warning filters": list(warnings.filters),
        "modes of torch": [
            torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"),
            torch.get_default_device(), torch.get_default_dtype(), torch.is_anomaly_enabled(),
            torch.are_deterministic_algorithms_enabled(), torch._C._len_torch_function_stack(),
            torch._C._len_torch_dispatch_stack(),
        ],
        "settings of torch": [
            cudnn.enabled, cudnn.benchmark, cudnn.deterministic, torch.get_num_threads(),
            torch.get_float32_matmul_precision(),
        ],
        "jobs on the board": BOARD.jobs,
    }  # fmt: skip


def what_is_changed(task: Task, call: Callable[[], Any], *, did_hit: Callable[[], bool] = bool) -> list[str] | None:
    """Names of what is not as it was after a call that was hit; None where nothing hit it.

    Args:
        did_hit: Whether a Stop did, of which no exception tells.
    """
    before = {**everything(task), **belongings(task), **surroundings()}
    try:
        call()
    except KeyboardInterrupt:
        pass
    else:
        if not did_hit():
            return None
    after = {**everything(task), **belongings(task), **surroundings()}
    changed = [name for name in before if after[name] != before[name]]
    try:
        with held(task):
            return changed
    except RuntimeError:
        return [*changed, "busy"]


def stop(kind: Kind) -> None:
    """Ask whatever runs to stop, unless an interrupt alone is meant."""
    if kind != "interrupt":
        for job in BOARD.jobs:
            job.stop()


def throw(kind: Kind) -> None:
    """Now, in this thread."""
    stop(kind)
    if kind != "stop":
        signal.raise_signal(signal.SIGINT)


class Lines:
    """Counts the lines that run in the engine's files, and throws something at one of them.

    To this thread, not to the process: another thread may take that one, and its handler then runs any time later.

    Args:
        at: The number of the line, from 1; 0 for none.
        again: The chance of another one at each later line.
        most: How many are thrown at most.
        kind: What is thrown.
        seed: Of those chances.
    """

    def __init__(
        self, at: int = 0, *, again: float = 0.0, most: int = IN_A_ROW, kind: Kind = "interrupt", seed: int = 0
    ) -> None:
        self.count = self.thrown = 0
        self._at, self._again, self._most, self._kind = at, again, most, kind
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
                throw(self._kind)
        return self._line


def thrown_at_line(
    call: Call, task: Task, line: int, *, again: float = 0.0, kind: Kind = "interrupt", seed: int = 0
) -> list[str] | None:
    """What is changed after something thrown at that line; None where it was not reached."""
    lines = Lines(line, again=again, kind=kind, seed=seed)

    def traced() -> None:
        with lines.traced():
            call(task)

    return what_is_changed(task, traced, did_hit=lambda: kind == "stop" and lines.thrown > 0)


def thrown_after(
    call: Call, task: Task, seconds: float, *, interval: float = 0.0, kind: Kind = "interrupt"
) -> list[str] | None:
    """What is changed after something thrown at that moment (and at each ``interval``); None if the call was over.

    By another thread, as the front end does it: a timer's signal would be held back itself.
    """
    main, over, thrown = threading.get_ident(), threading.Event(), list[int]()

    def handle(number: int, frame: Any) -> None:
        if not over.is_set() and _is_in_engine(frame):  # else it comes just before or behind the call
            raise KeyboardInterrupt

    def ring() -> None:
        wait = seconds
        while len(thrown) < (IN_A_ROW if interval else 1) and not over.wait(wait):
            thrown.append(1)
            stop(kind)
            if kind != "stop":
                signal.pthread_kill(main, signal.SIGINT)
            wait = interval

    def timed() -> None:
        thread.start()
        try:
            call(task)
        finally:
            over.set()

    thread, before = threading.Thread(target=ring), signal.signal(signal.SIGINT, handle)
    try:
        return what_is_changed(task, timed, did_hit=lambda: kind == "stop" and bool(thrown))
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)


def _is_in_engine(frame: Any) -> bool:
    """Whether the call is under way; not where an object that it lets go is being reported by pytest."""
    while frame is not None and not frame.f_code.co_filename.startswith(ENGINE):
        if frame.f_code.co_name == "unraisable_hook":
            return False
        frame = frame.f_back
    return frame is not None


def lines_of(call: Call, task: Task) -> int:
    """How many lines of the engine run in an uninterrupted call."""
    lines = Lines()
    with lines.traced():
        call(task)
    return lines.count
