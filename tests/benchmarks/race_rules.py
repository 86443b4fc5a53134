"""What a race of short runs at constant rates would suggest, by rule. Prints a table; nothing of it is in nbtune yet.

    python tests/benchmarks/race_rules.py FOLDER

FOLDER is a copy of lr_bench. Runs of 100 steps are recorded (or, for seeds 100 to 102, taken from its truth), and races
are replayed on them: 13 rates half a decade apart, all on the same batches; the best 6, 4 and 3 are kept after 5, 12
and 30 steps, to 45; while nobody has lowered the loss, the highest rates that have not raised it are kept instead, to
100. The suggestion is a factor times the minimum of a parabola through the best three (in log η). Regret is 0 at the
best constant rate and 1 where training did nothing or diverged: after some 200 steps, after 3,000 at a constant rate,
and after 3,000 of a one-cycle schedule with the suggestion as its peak.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from suggestions import bootstrap

FACTORS = (0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
RECORDED_SEEDS, FRESH_SEEDS = (100, 101, 102), (200, 201, 202)
ROUNDS = ((5, 6), (12, 4), (30, 3), (45, 3))
LONGEST = 100
NOBODY_FELL = 0.95


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    arguments = parser.parse_args()
    sys.path.insert(0, arguments.folder)
    from bench import Truth
    from tasks import TASKS

    torch.set_num_threads(1)
    races = [race for name, task in TASKS.items() for race in races_of(name, task, Truth(name))]
    judges = {name: Judge(Truth(name), Path(arguments.folder) / "truth_long" / f"{name}.npz") for name in TASKS}
    steps = [race.steps for race in races]
    print(f"{len(races)} races, {np.median(steps):.0f} steps in the median, {max(steps)} at most")
    print(
        "factor   after 200: mean (95 %, tasks resampled), worst   3,000 constant: mean, worst   one-cycle: mean, worst"
    )
    for factor in FACTORS:
        regrets = np.array([judges[race.task].regrets(factor * race.best_lr) for race in races])
        by_task = [regrets[[race.task == name for race in races], 0].mean() for name in TASKS]
        low, high = bootstrap([float(mean) for mean in by_task])
        short, constant, cycle = (f"{column.mean():.3f}, {column.max():.2f}" for column in regrets.T)
        print(f"{factor:6}   {short.replace(',', f' ({low:.3f} to {high:.3f}),'):40}   {constant:20}   {cycle}")


@dataclass(frozen=True)
class Race:
    """What one race found; ``best_lr`` is the parabola's minimum."""

    task: str
    best_lr: float
    steps: int


class Judge:
    """Regret of a rate at three horizons."""

    def __init__(self, truth: Any, long_path: Path) -> None:
        self._truth = truth
        with np.load(long_path) as long:
            self._log_lrs, start = np.log10(long["grid"]), long["init"]
            ends = np.minimum(np.where(np.isfinite(long["train"]), long["train"], np.inf), start[None, :, None]).mean(1)
        best = ends.min(1, keepdims=True)
        self._long = np.clip((ends - best) / (start.mean() - best), 0, 1)

    def regrets(self, lr: float) -> tuple[float, float, float]:
        at = np.log10(lr)
        if at > self._log_lrs[-1] + 0.17:  # as in lr_bench: more than ten times the best
            return self._truth.regret(lr), 1.0, 1.0
        constant, cycle = (float(np.interp(at, self._log_lrs, row)) for row in self._long)
        return self._truth.regret(lr), constant, cycle


def races_of(name: str, task: Any, truth: Any) -> list[Race]:
    lrs = [place for place, at in enumerate(truth.lg) if abs(2 * at - round(2 * at)) < 1e-6 and -5 <= at <= 1.001]
    fresh = [np.stack([task.train(truth.grid[place], seed, LONGEST)[0] for place in lrs]) for seed in FRESH_SEEDS]
    recorded = [truth.race[place][lrs] for place in range(len(RECORDED_SEEDS))]
    return [race_on(name, truth.lg[lrs], losses) for losses in (*recorded, *fresh)]


def race_on(name: str, log_lrs: Any, losses: Any) -> Race:
    start, alive, taken, steps = float(np.mean(losses[:, 0])), list(range(len(log_lrs))), 0, 0
    for end, kept in ROUNDS:
        steps += len(alive) * (end - taken)
        taken, scores = end, {place: score(losses[place], end - max(3, end // 3), end) for place in alive}
        ranked = sorted(alive, key=scores.__getitem__)
        unharmed = sorted(place for place in alive if scores[place] < start / NOBODY_FELL)
        is_plateau = scores[ranked[0]] > NOBODY_FELL * start and end <= 12 and unharmed
        alive = unharmed[-kept:] if is_plateau else ranked[:kept]
    scores = {place: score(losses[place], 30, 45) for place in alive}
    if min(scores.values()) > NOBODY_FELL * start:
        steps += len(alive) * (LONGEST - taken)
        scores = {place: score(losses[place], 67, LONGEST) for place in alive}
    return Race(name, 10 ** parabola_minimum(log_lrs, scores), steps)


def score(losses: Any, begin: int, end: int) -> float:
    part = losses[begin:end]
    return float(part.mean()) if np.isfinite(part).all() else float("inf")


def parabola_minimum(log_lrs: Any, scores: dict[int, float]) -> float:
    places = sorted(scores)
    best = min(places, key=scores.__getitem__)
    around = [place for place in (best - 1, best, best + 1) if np.isfinite(scores.get(place, np.inf))]
    if len(around) < 3:
        return float(log_lrs[best])
    # A neighbour that is off by far would bend the parabola by its distance alone.
    values = np.minimum([scores[place] for place in around], 4 * scores[best])
    bend, slope, _ = np.polyfit(log_lrs[around], values, 2)
    at = -slope / 2 / bend if bend > 0 else log_lrs[best]
    return float(np.clip(at, log_lrs[around[0]], log_lrs[around[-1]]))


if __name__ == "__main__":
    main()
