"""What widgets and calls leave behind: memory, threads, comms and widgets after 20, 40 … 100 of them; what one costs.

    python tests/benchmarks/life.py [WIDGETS [CALLS [PATTERN]]]

First what making a widget takes from the processor, of each kind in a process of its own: the first one, the second and
the median of the next nine. Then each tool's widget is made, run and closed 100 times, every fourth one in the midst of
its run, and each tool's call is carried out 300 times. Memory is the process's resident set, in MiB over what it was
after the first ten, once garbage is collected and the C library has given back what is free; threads, comms, open
widgets, jobs and Python's own objects are counted. Flat is a column that does not grow. Only kinds whose name has
PATTERN, if one is given; with WIDGETS = 0 (or CALLS = 0) none.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from comm import get_comm_manager
from ipywidgets.widgets.widget import _instances
from torch.nn import functional

import nbtune as nt
from nbtune.jobs import BOARD

WARM_UP = 10
MIB = 2**20


def task() -> nt.Task:
    """A small classifier on 256 samples, with a model of its own."""
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
    data = torch.randn(256, 64), torch.zeros(256, dtype=torch.long)
    return nt.Task(model, torch.optim.SGD(model.parameters(), 0.1), functional.cross_entropy, data)


WIDGETS: dict[str, Callable[[], Any]] = {
    "LRFinder quick": lambda: nt.LRFinder(task(), mode="quick", steps=30),
    "LRFinder race": lambda: nt.LRFinder(task(), rates=5),
    "BatchProber": lambda: nt.BatchProber(task(), max_batch_size=16),
    "BatchComparison": lambda: nt.BatchComparison(task(), [16, 64], budget="1000 samples"),
    "DescentExplorer": lambda: nt.DescentExplorer(),
}
CALLS: dict[str, Callable[[], Any]] = {
    "find_lr quick": lambda: nt.find_lr(task(), mode="quick", steps=20, progress=False),
    "find_lr race": lambda: nt.find_lr(task(), rates=5, progress=False),
    "find_batch_size": lambda: nt.find_batch_size(task(), max_batch_size=16, progress=False),
    "compare_batch_sizes": lambda: nt.compare_batch_sizes(task(), [16, 64], budget="500 samples", progress=False),
    "estimate_memory": lambda: nt.estimate_memory(task()).peak_bytes(8),
}


def main() -> None:
    torch.set_num_threads(1)
    given = sys.argv[1:]
    widgets, calls, pattern = *map(int, [*given[:2], *("100", "300")[len(given[:2]) :]]), "".join(given[2:])
    kinds = {name: make for name, make in WIDGETS.items() if widgets and re.search(pattern, name)}
    print(f"{'made in CPU s':20} {'first':>7} {'second':>7} {'later':>7}", flush=True)
    for name in kinds:
        process = multiprocessing.get_context("spawn").Process(target=made, args=(name,))
        process.start()
        process.join()
    print(f"\n{'':20} {'after':>5} {'MiB':>7} {'threads':>7} {'comms':>5} {'widgets':>7} {'jobs':>4} {'objects':>8}")
    for name, make in kinds.items():
        watched(name, widgets, lambda index, make=make: live_one(make(), is_cut_short=index % 4 == 3))
    for name, call in CALLS.items():
        if calls and re.search(pattern, name):
            watched(name, calls, lambda index, call=call: call())


def made(name: str) -> None:
    """Print what making widgets of a kind takes, in a process that has made none."""
    torch.set_num_threads(1)
    _ = nt.LRFinder  # what is imported with the first of any kind is not what is asked
    task()
    seconds = []
    for _ in range(11):
        begun = time.process_time()
        WIDGETS[name]()
        seconds.append(time.process_time() - begun)
    print(f"{name:20} {seconds[0]:7.3f} {seconds[1]:7.3f} {statistics.median(seconds[2:]):7.3f}", flush=True)


def live_one(widget: Any, *, is_cut_short: bool) -> None:
    """Run a widget and close it."""
    if is_cut_short:
        widget.start()
        time.sleep(0.01)
    else:
        widget.run()
    widget.close()


def watched(name: str, count: int, one: Callable[[int], Any]) -> None:
    """Do it so often, and print what there is five times."""
    for index in range(WARM_UP):
        one(index)
    begun = figures()
    for index in range(1, count + 1):
        one(index)
        if index % max(1, count // 5) == 0:
            row(name, index, begun)


def row(name: str, index: int, begun: tuple[float, ...]) -> None:
    memory, threads, comms, widgets, jobs, objects = figures()
    print(
        f"{name:20} {index:5} {memory - begun[0]:+7.1f} {threads:7.0f} {comms:5.0f} {widgets:7.0f} {jobs:4.0f} "
        f"{objects - begun[-1]:+8.0f}",
        flush=True,
    )


def figures() -> tuple[float, ...]:
    """Memory in MiB, threads, comms, open widgets, jobs under way, Python's objects."""
    # What was closed in the midst of its run ends by itself a moment later.
    deadline = time.monotonic() + 10
    while (BOARD.jobs or threading.active_count() > 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    gc.collect()
    if hasattr(library := ctypes.CDLL(None), "malloc_trim"):  # what it keeps of freed memory would look like growth
        library.malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    open_comms = len(get_comm_manager().comms)
    return (
        pages * 4096 / MIB, threading.active_count(), open_comms, len(_instances), len(BOARD.jobs),
        len(gc.get_objects()),
    )  # fmt: skip


if __name__ == "__main__":
    main()
