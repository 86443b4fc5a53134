"""How far below a race's minimum should a suggestion lie? Regret by factor, and what cross-validation chooses.

    python tests/benchmarks/race_rules.py [FOLDER]

FOLDER is a copy of lr_bench. Every task of suggestions.py is raced once per seed; ``curve.best`` × a factor is judged
at the three horizons. Then each task is left out in turn and judged with the factor that is best on the others: for a
constant rate by the mean of 200 and 3,000 steps, for the peak by the one-cycle schedule.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from suggestions import curve_of
from yardsticks import HORIZONS, SEEDS, Yardstick, bootstrap, yardsticks

FACTORS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tables = {
        name: np.array([_means(stick) for stick in sticks]) for name, sticks in yardsticks(arguments.folder).items()
    }
    for name, table in tables.items():
        print(f"\n{name}: mean regret by factor\n  {'':26}" + "".join(f"{factor:7g}" for factor in FACTORS))
        for place, horizon in enumerate(HORIZONS):
            print(f"  {horizon:26}" + "".join(f"{mean:7.3f}" for mean in table[:, :, place].mean(0)))
    every = np.concatenate(list(tables.values()))
    print(f"\neach of {len(every)} tasks left out in turn")
    _print_left_out("constant rate, 200 and 3,000", every[:, :, :2].mean(2))
    _print_left_out("one-cycle peak", every[:, :, 2])


def _means(stick: Yardstick) -> np.ndarray:
    """Mean regret over the seeds, shape (factors, horizons); 1 for a race without an answer."""
    bests = [curve_of(stick, seed, "race").best for seed in SEEDS]
    return np.array([
        np.mean([stick.regrets(None if best is None else factor * best) for best in bests], 0) for factor in FACTORS
    ])  # fmt: skip


def _print_left_out(title: str, regrets: np.ndarray) -> None:
    chosen = [int(np.delete(regrets, place, 0).mean(0).argmin()) for place in range(len(regrets))]
    judged = [float(regrets[place, factor]) for place, factor in enumerate(chosen)]
    low, high = bootstrap(judged)
    factors = ", ".join(f"{FACTORS[at]:g} ({chosen.count(at)} times)" for at in sorted(set(chosen)))
    print(f"  {title:30} mean {np.mean(judged):.3f} ({low:.3f} to {high:.3f}), worst task {max(judged):.2f}: {factors}")


if __name__ == "__main__":
    main()
