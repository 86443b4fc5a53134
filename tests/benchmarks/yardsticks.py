"""Tasks whose best learning rates are known: those of ``lr_bench`` and the held-out ones, judged alike."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import held_out
import numpy as np

Regrets = tuple[float, float, float]
HORIZONS = ("after 200 steps", "3,000 at a constant rate", "3,000 of one-cycle")
SEEDS = (100, 101, 102, 200, 201, 202)


@dataclass(frozen=True)
class Yardstick:
    """A task and what is known of it.

    Attributes:
        name: Of the task.
        task: With ``model(seed)``, ``optimizer(model, lr)``, ``loss_fn`` and ``loader(seed)``.
        regrets: Of a rate at the three ``HORIZONS``, from 0 (the best there is) to 1 (no better than not training).
    """

    name: str
    task: Any
    regrets: Callable[[float | None], Regrets]

    def losses(self, lr: float, seed: int, steps: int) -> np.ndarray:
        """Of a run at a constant rate, before each update."""
        if isinstance(self.task, held_out.HeldOutTask):
            return self.task.train(lambda _: lr, seed, steps)
        return self.task.train(lr, seed, steps)[0]


def yardsticks(folder: str | None) -> dict[str, list[Yardstick]]:
    """The sets of tasks by name; ``lr_bench`` only where its ``folder`` is given."""
    truths = held_out.truths()
    found = {"held out": [Yardstick(n, held_out.TASKS[n], truth.regrets) for n, truth in truths.items()]}
    if folder is None:
        return found
    sys.path.insert(0, folder)
    from bench import Truth
    from tasks import TASKS

    judges = {name: _Judge(Truth(name), Path(folder) / "truth_long" / f"{name}.npz") for name in TASKS}
    return {"lr_bench": [Yardstick(name, task, judges[name].regrets) for name, task in TASKS.items()], **found}


def bootstrap(means: list[float], rounds: int = 10_000) -> tuple[float, float]:
    """The central 95 % of the mean over tasks, tasks resampled."""
    rng = np.random.default_rng(0)
    resampled = rng.choice(means, (rounds, len(means))).mean(1)
    return float(np.quantile(resampled, 0.025)), float(np.quantile(resampled, 0.975))


class _Judge:
    """lr_bench's truth at all horizons, scored as its own reports do."""

    def __init__(self, truth: Any, long_path: Path) -> None:
        self._truth = truth
        with np.load(long_path) as long:
            self._log_lrs, start = np.log10(long["grid"]), long["init"]
            ends = np.minimum(np.where(np.isfinite(long["train"]), long["train"], np.inf), start[None, :, None]).mean(1)
        best = ends.min(1, keepdims=True)
        self._long = np.clip((ends - best) / (start.mean() - best), 0, 1)

    def regrets(self, lr: float | None) -> Regrets:
        if lr is None or not lr > 0:
            return 1.0, 1.0, 1.0
        at = np.log10(lr)
        if at > self._log_lrs[-1] + 0.17:  # more than ten times the best
            return self._truth.regret(lr), 1.0, 1.0
        constant, cycle = (float(np.interp(at, self._log_lrs, row)) for row in self._long)
        return self._truth.regret(lr), constant, cycle
