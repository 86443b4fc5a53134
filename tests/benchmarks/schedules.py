"""Which schedule, and how far below the race's best rate its peak: regret of kinds and factors, by length.

    python tests/benchmarks/schedules.py [--jobs 2] [--to FILE] [--lengths 200 1000 3000]
    python tests/benchmarks/schedules.py --from FILE

Every held-out task is raced once; then it is trained at ``curve.best`` × each factor with each kind of schedule, for
each length. Regret is (loss at the end - the least of all kinds and factors at that length) / (loss at the start - that
least), the end being the last twentieth of the steps. --from prints what was measured before.
"""

from __future__ import annotations

import argparse
import json
import math
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import held_out
import numpy as np
import torch
from yardsticks import bootstrap

from nbtune.engine import Task, find_lr
from nbtune.engine.learning_rate.schedule import KINDS, Schedule

FACTORS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
LENGTHS = (200, 1000, 3000)
SEEDS = (100, 101)
TAIL = 0.05


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--from", dest="source", type=Path)
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS)
    arguments = parser.parse_args()
    if arguments.source:
        found = json.loads(arguments.source.read_text())
    else:
        jobs = [(name, seed, tuple(arguments.lengths)) for name in held_out.TASKS for seed in SEEDS]
        with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
            found = list(pool.map(_measured, jobs))
    if arguments.to:
        arguments.to.write_text(json.dumps(found) + "\n")
    for length in sorted({int(key) for row in found for key in row["ends"]}):
        _print_length(length, found)


def _measured(job: tuple[str, int, tuple[int, ...]]) -> dict[str, Any]:
    name, seed, lengths = job
    torch.set_num_threads(1)
    task = held_out.TASKS[name]
    model = task.model(seed)
    curve = find_lr(Task(model, task.optimizer(model, 1e-3), task.loss_fn, task.loader(seed)), progress=False)
    start = float(np.mean([task.train(lambda _: 0.0, seed, 12)]))
    ends: dict[str, dict[str, list[float | None]]] = {}
    for length in lengths if curve.best else ():
        ends[str(length)] = {}
        for kind in KINDS:
            row = []
            for factor in FACTORS:
                schedule = Schedule(kind, length, factor * curve.best)
                end = float(task.train(schedule.lr_at, seed, length)[-max(1, int(TAIL * length)) :].mean())
                row.append(end if math.isfinite(end) else None)
            ends[str(length)][kind] = row
    return {
        "task": name,
        "seed": seed,
        "best": curve.best,
        "confidence": curve.confidence,
        "start": start,
        "ends": ends,
    }


def _print_length(length: int, found: list[dict[str, Any]]) -> None:
    tasks = list(dict.fromkeys(row["task"] for row in found if str(length) in row["ends"]))
    regrets = {kind: np.zeros((len(tasks), len(FACTORS))) for kind in KINDS}
    for place, task in enumerate(tasks):
        rows = [row for row in found if row["task"] == task and str(length) in row["ends"]]
        for row in rows:
            losses = {
                kind: np.minimum([math.inf if x is None else x for x in row["ends"][str(length)][kind]], row["start"])
                for kind in KINDS
            }
            least = min(values.min() for values in losses.values())
            for kind in KINDS:
                regrets[kind][place] += (losses[kind] - least) / (row["start"] - least) / len(rows)
    print(f"\n{length} steps, {len(tasks)} tasks: mean regret by factor × the race's best, worst behind the comma")
    print(f"  {'':12}" + "".join(f"{factor:>13g}" for factor in FACTORS))
    for kind, table in regrets.items():
        cells = "".join(f"{f'{table[:, i].mean():.3f}, {table[:, i].max():.2f}':>13}" for i in range(len(FACTORS)))
        low, high = bootstrap([float(x) for x in table[:, int(table.mean(0).argmin())]])
        print(f"  {kind:12}{cells}   at its best factor {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
