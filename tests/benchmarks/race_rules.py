"""How far below a race's minimum should a suggestion lie? Regret by factor, and what cross-validation chooses.

    python tests/benchmarks/race_rules.py [FOLDER] [--tried | --tried-quick]

FOLDER is a copy of lr_bench. Every task of suggestions.py is raced once per seed; ``curve.best`` × a factor is judged
at the three horizons. Then each task is left out in turn and judged with the factor that is best on the others: for a
constant rate by the mean of 200 and 3,000 steps, for the peak by the one-cycle schedule. With --tried, what a race
without one of its parts would suggest (ten minutes). With --tried-quick, what a sweep suggests that may lie no higher
than so many times the rate of its lowest loss, and how often outside its own usable range (six other seeds).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from suggestions import curve_of
from yardsticks import HORIZONS, SEEDS, Yardstick, bootstrap, yardsticks

from nbtune.engine.learning_rate import settings as lr_settings
from nbtune.engine.learning_rate.race import difference, look
from nbtune.engine.learning_rate.race import fixed as race_fixed
from nbtune.engine.learning_rate.race import standings as race_standings
from nbtune.engine.learning_rate.sweep import rules as sweep_rules

QUICK_SEEDS = 600, 601, 602, 610, 611, 612
FACTORS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--tried", action="store_true")
    parser.add_argument("--tried-quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.tried or arguments.tried_quick:
        (_print_tried if arguments.tried else _print_tried_quick)(arguments.folder)
        return
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


def _print_tried(folder: str | None) -> None:
    print("suggestion's regret: mean and worst at each horizon; (of the task with batches of two)")
    for title, change in TRIED.items():
        for name, sticks in yardsticks(folder).items():
            with change():
                found = {
                    stick.name: [stick.regrets(curve_of(stick, seed, "race").suggestion) for seed in SEEDS]
                    for stick in sticks
                }
            table = np.array(list(found.values()))
            cells = "   ".join(f"{table[..., i].mean():.3f}, {table[..., i].max():.2f}" for i in range(3))
            small = found.get("digits_mlp_sgd_k2")
            pair = "" if small is None else f"   ({' '.join(f'{mean:.3f}' for mean in np.mean(small, 0))})"
            print(f"  {title:44} {name:9} {cells}{pair}", flush=True)


def _print_tried_quick(folder: str | None) -> None:
    print("a sweep's suggestion: mean regret and how many ≥ .5 at each horizon; outside its usable range")
    for most in (np.inf, 1.0, 0.35, 0.15):
        for name, sticks in yardsticks(folder).items():
            with _set(sweep_rules, MOST_OF_MINIMUM=most):
                found = [(stick, curve_of(stick, seed, "quick")) for stick in sticks for seed in QUICK_SEEDS]
            table = np.array([stick.regrets(curve.suggestion) for stick, curve in found])
            cells = "   ".join(f"{column.mean():.3f}, {(column >= 0.5).sum()}" for column in table.T)
            outside = sum(_is_outside(curve) for _, curve in found)
            print(f"  at most {most:4g} × the minimum  {name:9} {cells}   {outside} of {len(found)}", flush=True)


def _is_outside(curve: Any) -> bool:
    known = curve.suggestion is not None and curve.low is not None
    return known and not curve.low <= curve.suggestion <= curve.high


@contextmanager
def _set(module: Any, **changes: Any) -> Iterator[None]:
    before = {name: getattr(module, name) for name in changes}
    for name, value in changes.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def _first_loss_as_control() -> Any:
    """In place of no training on the same batches, the loss of the first batch."""
    add = race_standings.Standings.add

    def changed(standings: race_standings.Standings, lr: float, loss: float, *more: Any, **named: Any) -> None:
        add(standings, lr, loss if lr or not standings.control else standings.control[0], *more, **named)

    return _set(race_standings.Standings, add=changed)


TRIED = {
    "as it is": lambda: _set(race_standings),
    "the first batch's loss for the control": _first_loss_as_control,
    "one update behind each loss": lambda: _set(lr_settings, RACE_SAMPLES=1),
    "8 samples behind each loss": lambda: _set(lr_settings, RACE_SAMPLES=8),
    "16 samples behind each loss": lambda: _set(lr_settings, RACE_SAMPLES=16),
    "over as soon as the order is settled": lambda: _set(look, HARDLY_BEGUN=0.0),
    "no fixed batches": lambda: _set(race_fixed.FixedBatches, ask=lambda _: None),
    "two standard errors": lambda: _set(difference, ERRORS=2.0),
    "no race ends before step 45": lambda: _set(race_standings, SOON_END=45),
    "none that did harm stays": lambda: _set(race_standings, OUTPOST_UNTIL=0),
}
"""What is changed, and how."""


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
