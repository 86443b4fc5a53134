"""Does anything grow with the number of runs? Each tool many times headless; a table of slopes.

    python tests/benchmarks/runs.py [N [PATTERN]]

N runs (default 300) of each tool and of the descent behind the explorer, on one task, after ten that warm things up.
Looked at after every tenth run, behind a garbage collection: resident memory, what tracemalloc counts, objects that the
collector knows, threads, open files, comms. The slope is that of a straight line through what was seen, per run: the
allocator's own ups and downs make that of the resident memory differ from zero by some kilobytes either way.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from comm import get_comm_manager
from interrupting import TOOLS
from tasks import hard_task

from nbtune import DescentPath, DescentSettings, estimate_memory, plot
from nbtune.engine import Task
from nbtune.host_memory import resident_bytes

WARM_UP, EVERY = 10, 10

RUNS: dict[str, Callable[[Task], Any]] = {
    **TOOLS,
    "estimate_memory": lambda task: estimate_memory(task, "8 GB").largest_batch_size(),
    "explorer's descent": lambda task: DescentPath.of(DescentSettings(surface="two minima")),
    "plot": lambda task: plot(DescentPath.of()),
}
SEEN: dict[str, tuple[str, float, Callable[[], int | None]]] = {
    "RSS": ("kB", 1024, resident_bytes),
    "traced": ("kB", 1024, lambda: tracemalloc.get_traced_memory()[0]),
    "objects": ("", 1, lambda: len(gc.get_objects())),
    "threads": ("", 1, threading.active_count),
    "files": ("", 1, lambda: len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None),
    "comms": ("", 1, lambda: len(get_comm_manager().comms)),
}
"""Name → unit, its size, and how much there is now; None where this machine does not tell."""


def main(wanted: int, pattern: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("per run:".ljust(24) + "".join(f"{f'{name} {unit}'.strip():>12}" for name, (unit, _, _) in SEEN.items()))
    for name, call in RUNS.items():
        if re.search(pattern, name):
            cells = [f"{slope:12.3f}" for slope in slopes(call, wanted)]
            print(f"{name:24}{''.join(cells)}   after {wanted} runs", flush=True)


def slopes(call: Callable[[Task], Any], wanted: int) -> list[float]:
    """How fast each of ``SEEN`` grows, in its unit per run; NaN where it is not told."""
    task, seen = hard_task(), list[list[float]]()
    for _ in range(WARM_UP):
        call(task)
    tracemalloc.start()
    for index in range(wanted + 1):
        if index % EVERY == 0:
            gc.collect()
            seen.append([_number(count()) / size for _, size, count in SEEN.values()])
        call(task)
    tracemalloc.stop()
    at = EVERY * np.arange(len(seen))
    return [float(np.polyfit(at, column, 1)[0]) for column in np.array(seen).T]


def _number(count: int | None) -> float:
    return float("nan") if count is None else float(count)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 300, given[1] if len(given) > 1 else "")
