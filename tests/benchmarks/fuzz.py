"""Wrong arguments for every public callable: refused clearly, accepted and meaningful, or wrong. A table.

    python tests/benchmarks/fuzz.py [N [SEED [PATTERN]]] [--why]

N seeded values (default 2,000) for each callable, its arguments in turn: wrong types, numbers that are none, containers
of everything, tensors, NumPy's and Python's other numbers, classes for instances, iterators without end, what contains
itself or has no text. Refused clearly is an error of a documented type (TypeError, ValueError, NotPredictableError; for
traits also TraitError), raised by nbtune's own ``raise``, that names the argument. The slowest refusal is told, in
seconds. PATTERN (re.search) chooses callables; ``--why`` prints each wrong one.
"""

from __future__ import annotations

import faulthandler
import re
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from wrong_arguments import PARTS, Callables, judged, trials
from wrong_values import told

HANGS_AFTER_SECONDS = 120


def main(wanted: int, seed: int, pattern: str, *, shows_why: bool) -> int:
    """Print the table; returns how many were wrong."""
    torch.set_num_threads(1)
    callables = Callables(tuple(PARTS))
    callables.by_name = {name: found for name, found in callables.by_name.items() if re.search(pattern, name)}
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    slowest: dict[str, float] = defaultdict(float)
    for name, argument, value in trials(callables, wanted, seed):
        faulthandler.dump_traceback_later(HANGS_AFTER_SECONDS, exit=True)
        begun = time.perf_counter()
        verdict = judged(argument, value, callables.task)
        if verdict.kind == "refused":
            slowest[name] = max(slowest[name], time.perf_counter() - begun)
        kinds[name][verdict.kind] += 1
        if shows_why and verdict.kind == "wrong":
            print(f"  {name}({argument.name} = {told(value)}): {verdict.why}", flush=True)
    faulthandler.cancel_dump_traceback_later()
    print(f"{'callable':36}{'tried':>7}{'refused':>9}{'accepted':>10}{'wrong':>7}{'slowest refusal':>17}")
    for name, counted in kinds.items():
        print(_row(name, counted, slowest[name]))
    total = sum(kinds.values(), Counter())
    print(_row("all", total, max(slowest.values())))
    return total["wrong"]


def _row(name: str, counted: Counter[str], slowest: float) -> str:
    numbers = f"{counted.total():7}{counted['refused']:9}{counted['accepted']:10}{counted['wrong']:7}"
    return f"{name:36}{numbers}{slowest:15.2f} s"


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--why"]
    count, begin = (int(given[i]) if len(given) > i else default for i, default in ((0, 2000), (1, 0)))
    sys.exit(main(count, begin, "".join(given[2:3]), shows_why="--why" in sys.argv) > 0)
