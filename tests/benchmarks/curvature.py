"""The limit that curvature sets to η beside the best constant rate of 200 steps. Prints a table.

    python tests/benchmarks/curvature.py [FOLDER] [--seeds 100,101,102]

FOLDER is a copy of lr_bench; beside its seven tasks stand the sixteen of held_out.py. Limits are medians over the
seeds, in brackets from the lowest to the highest. "alone" is with the gradients of one batch for an optimizer that has
taken no step. Seconds are of one estimate and of a sweep of 100 steps.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import held_out
import numpy as np
import torch
from yardsticks import Yardstick, yardsticks

from nbtune.engine import Curvature, Task, estimate_curvature, find_lr
from nbtune.engine.curvature import scaled_hessian

COLUMNS = f"  {'task':30} {'best η':>8} {'limit (lowest to highest)':>28} {'limit/best':>10} {'alone':>8}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--seeds", default="100,101,102")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    for name, sticks in yardsticks(arguments.folder).items():
        print(f"\n{name}, {len(sticks)} tasks × {len(seeds)} seeds")
        print(f"{COLUMNS} {'products':>8} {'error':>6} {'seconds':>8} {'sweep':>6}  rule")
        ratios = [_print_row(stick, seeds) for stick in sticks]
        known = np.abs(np.log10([ratio for ratio in ratios if ratio]))
        print(f"  limit/best: median distance {np.median(known):.2f} decades, at most {known.max():.2f}")


def job_of(stick: Yardstick, seed: int) -> Task:
    """One task with one seed, new."""
    model, task = stick.task.model(seed), stick.task
    return Task(model, task.optimizer(model, 1e-3), task.loss_fn, task.loader(seed))


def best_lr(stick: Yardstick) -> float:
    """Of the truth after 200 steps at constant rates."""
    if isinstance(stick.task, held_out.HeldOutTask):
        return held_out.truths()[stick.name].best_lr
    from bench import Truth  # of the folder

    return float(Truth(stick.name).lr_best["train"])


def _print_row(stick: Yardstick, seeds: list[int]) -> float | None:
    best, found = best_lr(stick), [estimate_curvature(job_of(stick, seed)) for seed in seeds]
    limits = [curvature.limit_lr for curvature in found if curvature.limit_lr is not None]
    if not limits:
        print(f"  {stick.name:30} {best:8.2g} {found[0].reason}")
        return None
    middle = float(np.median(limits))
    spread = f"{middle:.3g} ({min(limits):.2g} to {max(limits):.2g})"
    alone = f"{_alone(stick, seeds):8.2g}" if found[0].is_preconditioned else " " * 8
    print(
        f"  {stick.name:30} {best:8.2g} {spread:>28} {middle / best:10.2g} {alone} {_median(found, 'products'):8.0f} "
        f"{_median(found, 'relative_error'):6.1%} {_median(found, 'seconds'):8.2f} {_sweep_seconds(stick):6.2f}  "
        f"{found[0].rule}",
        flush=True,
    )
    return middle / best


def _alone(stick: Yardstick, seeds: list[int]) -> float:
    kept, scaled_hessian.SCALING_BATCHES = scaled_hessian.SCALING_BATCHES, 1
    try:
        return float(np.median([estimate_curvature(job_of(stick, seed)).limit_lr or np.nan for seed in seeds]))
    finally:
        scaled_hessian.SCALING_BATCHES = kept


def _median(found: list[Curvature], name: str) -> float:
    values: list[Any] = [getattr(curvature, name) for curvature in found]
    return float(np.median([value for value in values if value is not None]))


def _sweep_seconds(stick: Yardstick) -> float:
    begun = time.perf_counter()
    steps = find_lr(job_of(stick, 100), mode="quick", steps=100, lr_max=1e-2, progress=False).steps
    return 100 * (time.perf_counter() - begun) / len(steps)


if __name__ == "__main__":
    main()
