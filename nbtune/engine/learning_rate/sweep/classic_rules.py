"""Four rules that read a learning rate off a sweep, side by side: three classic ones and that of the quick sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....formats import format_lr
from .rules import RISE_TO_SUGGESTION

if TYPE_CHECKING:
    from ..curve import LRCurve

Floats = NDArray[np.float64]

MOMENTUM = 0.98
"""Of the exponential average that fastai reads its rules off."""

SKIPPED_START, SKIPPED_END = 10, 5
"""fastai leaves out the first tenth of the steps asked for, and the last five taken."""

LEAST_POINTS = 3

FASTAI = "fastai.callback.schedule, docs.fast.ai/callback.schedule.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicRule:
    """What one rule says of one sweep.

    Attributes:
        name: A word or two, for a plot.
        lr: The η it suggests; None where it has none.
        how: On which loss it is computed, and on which axis it differentiates if it does.
        source: Who uses it.
    """

    name: str
    lr: float | None
    how: str
    source: str


def classic_rules(curve: LRCurve) -> tuple[ClassicRule, ...]:
    """What four rules say of one and the same sweep, in the order valley, steepest, minimum ÷ 10, first rise ÷ 12.

    The first three are read off the losses as fastai reads them: an exponential average (momentum 0.98, corrected for
    its start), which lags behind them, by 34 steps at the hundredth; without the first tenth of the steps asked for
    and without the last five. They answer on almost any curve, also on noise. The fourth is the suggestion of the
    sweep itself, see ``rules.read``.

    Args:
        curve: Of a sweep, of any length.
    Returns:
        Four rules; ``lr`` is None where fewer than three points are left, where nothing falls (steepest) or where the
        loss did not rise (first rise).
    Raises:
        ValueError: For the curve of a race.

    Source:
        fastai 2.7; steepest also in pytorch-lr-finder, ignite and Lightning up to 2.5.2, which differentiate by the
        step. Steps are evenly spaced in log η, so that is the same place; per η it would not be.
    """
    if curve.settings.mode != "quick":
        raise ValueError("classic rules are read off a sweep: this is the curve of a race")
    lrs, losses = _as_fastai_sees(curve)
    has_points = len(losses) >= LEAST_POINTS
    smoothed = f"on the exponential average of the losses (momentum {MOMENTUM:g})"
    steepest = _steepest(lrs, losses) if has_points else None
    return (
        ClassicRule(
            name="valley", lr=_valley(lrs, losses) if has_points else None,
            how=f"half-way down the longest falling run of losses, counted in steps, {smoothed}",
            source=f"{FASTAI}: its default; two thirds of the way says its text, half its code, and so does this",
        ),
        ClassicRule(
            name="steepest", lr=steepest, how=f"steepest fall of the loss per log η, {smoothed}",
            source=f"{FASTAI}; pytorch-lr-finder, ignite and Lightning up to 2.5.2 with averages of their own",
        ),
        ClassicRule(
            name="minimum ÷ 10", lr=float(lrs[np.argmin(losses)]) / 10 if has_points else None,
            how=f"a tenth of η at the lowest loss, {smoothed}", source=f"{FASTAI}; the tenth is folklore",
        ),
        ClassicRule(
            name=f"first rise ÷ {RISE_TO_SUGGESTION:g}",
            lr=curve.suggestion if curve.rises_from is not None else None,
            how=_first_rise(curve), source="nbtune's quick sweep: nbtune.engine.learning_rate.sweep.rules",
        ),
    )  # fmt: skip


def averaged(losses: Sequence[float], momentum: float = MOMENTUM) -> Floats:
    """Exponential average of ``losses``, corrected for having begun at 0, shape (steps,).

    Examples:
        >>> averaged([2.0, 2.0, 2.0]).round(9).tolist()  # a level stays as it is
        [2.0, 2.0, 2.0]
    """
    values, mean = np.empty(len(losses)), 0.0
    for step, loss in enumerate(losses):
        mean = momentum * mean + (1 - momentum) * loss
        values[step] = mean / (1 - momentum ** (step + 1))
    return values


def _as_fastai_sees(curve: LRCurve) -> tuple[Floats, Floats]:
    """η and averaged losses of the steps its rules look at, up to the first that is not finite."""
    first, last = curve.settings.steps // SKIPPED_START, max(0, len(curve.losses) - SKIPPED_END)
    losses = averaged(curve.losses)[first:last]
    finite = np.isfinite(losses)
    end = len(losses) if finite.all() else int(np.argmin(finite))
    return np.asarray(curve.lrs, dtype=np.float64)[first:last][:end], losses[:end]


def _valley(lrs: Floats, losses: Floats) -> float:
    """Half-way along the longest strictly falling run; steps between its members may be higher."""
    lengths = np.ones(len(losses), dtype=np.intp)
    for step in range(1, len(losses)):
        above = lengths[:step][losses[:step] > losses[step]]
        lengths[step] += above.max(initial=0)
    end = int(np.argmax(lengths))
    length = int(lengths[end])
    # Its members are counted back from the last one, as if they followed one another without a gap.
    return float(lrs[max(0, end - length + length // 3 + length // 6)])


def _steepest(lrs: Floats, losses: Floats) -> float | None:
    slopes = np.diff(losses) / np.diff(np.log(lrs))
    return float(lrs[np.argmin(slopes)]) if slopes.min() < 0 else None


def _first_rise(curve: LRCurve) -> str:
    if curve.rises_from is None or curve.suggestion is None:
        return "η of the first clear rise after the minimum, divided; here the loss did not rise"
    factor = curve.rises_from / curve.suggestion
    return (
        f"{math.floor(factor + 0.5)}× below η = {format_lr(curve.rises_from)}, the first clear rise after the minimum"
    )
