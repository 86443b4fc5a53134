"""Is everything as it was after interrupts and Stops at any moment? A table: tool × path, identical of tried.

    python tests/benchmarks/interrupts.py [N [TOOL ...]]

N calls (default 1,000) of each tool on each path, each hit by an interrupt, a Stop, or both at once: in two of three at
a line of the engine drawn by chance (in half of these up to nine others follow at later lines, so that some hit what is
being put back), in the third at a random moment, followed by others 0.2 ms apart. Compared bit for bit: ``everything``
of the tests, and what ``tests/interrupting.py`` looks at besides: objects, hooks, generators that the model, the loader
and its sampler keep, the process's signal handlers and warning filters, torch's modes and settings, the board, and
whether the model is free.
"""

from __future__ import annotations

import random
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from interrupting import PATHS, TOOLS, Call, Kind, lines_of, task_of, thrown_after, thrown_at_line

MOST_MISSES = 3
"""As many calls as interrupts may be over before theirs comes: lengths differ, since turns go by the clock."""


KINDS: list[Kind] = ["interrupt", "interrupt", "stop", "both"]


def main(wanted: int, names: list[str]) -> None:
    # A shell starts what runs in its background with interrupts ignored, and Python then leaves them so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{'tool':22}{'path':10}{'identical':>10} of tried")
    for name in names or TOOLS:
        for path in PATHS:
            changed = Counter(thrown_at(TOOLS[name], path, wanted))
            print(f"{name:22}{path:10}{changed['']:10} of {changed.total()}", flush=True)
            for what in sorted(set(changed) - {""}):
                print(f"    {changed[what]} times changed: {what}", flush=True)


def thrown_at(call: Call, path: str, wanted: int) -> list[str]:
    """For each interrupted call what was changed after it, "" for nothing."""
    task, chances, found = task_of(path), random.Random(0), list[str]()
    call(task)
    begun = time.perf_counter()
    call(task)
    seconds, lines = time.perf_counter() - begun, lines_of(call, task)
    for index in range(MOST_MISSES * wanted):
        if len(found) == wanted:
            break
        kind = chances.choice(KINDS)
        if index % 3 == 2:
            changed = thrown_after(call, task, max(1e-6, seconds * chances.random()), interval=2e-4, kind=kind)
        else:
            again = (index % 2) * min(0.3, 20 / lines)
            changed = thrown_at_line(call, task, chances.randint(1, lines), again=again, kind=kind, seed=index)
        if changed is not None:
            found.append(", ".join(changed))
            if changed:
                task = task_of(path)
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2:])
