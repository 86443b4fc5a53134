"""How good are the suggestions? Regret on tasks whose best learning rate is known. Prints a table.

    python tests/benchmarks/suggestions.py FOLDER

FOLDER is a copy of lr_bench, the team's yardstick: seven small real tasks with the loss after some 200 steps at each of
about 40 constant rates. Regret is 0 at the best constant rate and 1 where training did nothing or diverged.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
import torch

from nbtune.engine import Task, find_lr


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--seeds", default="100,101,102,200,201,202")
    arguments = parser.parse_args()
    sys.path.insert(0, arguments.folder)
    from bench import Truth
    from tasks import TASKS

    torch.set_num_threads(1)
    seeds, regrets, steps = [int(s) for s in arguments.seeds.split(",")], [], []
    print(f"{'task':26} {'best η':>8}   regret @ suggested η, per seed")
    for name, task in TASKS.items():
        truth, curves = Truth(name), [curve_of(task, seed) for seed in seeds]
        row = [truth.regret(c.suggestion) for c in curves]
        regrets.append(row)
        steps += [len(c.steps) for c in curves]
        cells = (f"{r:.2f} @ {c.suggestion or 0:.2g}" for r, c in zip(row, curves, strict=True))
        print(f"{name:26} {truth.lr_best['train']:8.2g}   {', '.join(cells)}")
    low, high = bootstrap([float(np.mean(row)) for row in regrets])
    print(
        f"mean {np.mean(regrets):.3f} (95 % with tasks resampled: {low:.3f} to {high:.3f}), "
        f"worst {np.max(regrets):.2f}, median steps {np.median(steps):.0f}"
    )


def curve_of(task: Any, seed: int) -> Any:
    """A sweep of one task at one seed."""
    model = task.model(seed)
    return find_lr(Task(model, task.optimizer(model, 1e-3), task.loss_fn, task.loader(seed)), progress=False)


def bootstrap(means: list[float], rounds: int = 10_000) -> tuple[float, float]:
    """The central 95 % of the mean over tasks, tasks resampled."""
    rng = np.random.default_rng(0)
    resampled = rng.choice(means, (rounds, len(means))).mean(1)
    return float(np.quantile(resampled, 0.025)), float(np.quantile(resampled, 0.975))


if __name__ == "__main__":
    main()
