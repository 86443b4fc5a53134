"""A race of constant rates as it goes: losses come in, and at the end of each round rates leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .candidate import Candidate, begin_of, error_of, score_of
from .look import Look, look_at

CONTROL = 0.0
"""η of the one that never trains."""

ENDS = (5, 12, 30, 45, 70, 100)
"""After these steps rounds end, and then each time after half as many again."""

SETTLED_STAY = {5: (4, 5), 12: (3, 3)}
"""After this many steps, so many rates stay at the least and at the most where the order is settled."""

LEAST_STAY = 2
"""As many go on after any other round: one alone would lead by being the last."""

DOUBTFUL_STAY = {5: 6, 12: 5, 30: 3, 45: 2}
"""After this many steps, so many of those that may be the best stay where it is not."""

END, SOON_END, FAR_FALLEN = 45, 30, 0.5
"""Where the order is settled, a race ends at the first; at the second, where its loss has fallen by that part of it.
Where training has not begun before the first, none ends before ``ENDS[-1]``."""

OUTPOST_UNTIL = 45
"""Before this step a race that has hardly begun keeps the lowest of the rates that did harm: where a model is trained
already, and with Adam, the best rate raises the loss before it lowers it."""

FIXED_FROM = 12
"""From this step on, a race whose order is not settled is judged by batches kept out of the steps."""

MOST_STEPS = 400
"""Of all rates together, unless the user allows more."""

SAME_PART = 1e-4
"""Losses that differ by less than this part of them are the same at every rate."""


class Standings:
    """Who is in a race and what they did; fed loss by loss (``add``).

    The rates are trained on the same batches, so what one has done shows in the difference to another, or to
    ``control``, the loss of the same batches without any training, free of the batches' own noise. A rate leaves when
    it is worse beyond doubt, or when those ahead of it are as many as can go on; rounds go on until the order is
    settled or the steps are used up.

    Args:
        lrs: The rates, rising.
        most_steps: Training steps of all rates, after which no further round begins.
    Attributes:
        losses: η → its losses so far.
        control: Losses without training.
        alive: The rates still in, rising.
        end: The step at which the present round ends.
        rounds: (step, rates that left after it) of each round that has ended.
        look: What is known since the last round's end; None before the first.
        is_over: Whether nothing is left to run.
        wants_fixed: Whether each rate's losses on fixed batches should come with the last step of a round.
        harmful: The rates that have raised the loss beyond doubt, or made it not finite.
        in_doubt: The rates that left though they could not be told from the best → after which step.
        is_told_apart: Whether the rates have led to different losses.
        errors: η → what its last step raised.
        below_at_last: η → its loss minus that without training, when a round last ended for it; inf after a divergence.
    """

    def __init__(self, lrs: Sequence[float], *, most_steps: int = MOST_STEPS) -> None:
        self.losses: dict[float, list[float]] = {lr: [] for lr in lrs}
        self.control: list[float] = []
        self.alive = list(self.losses)
        self.end = ENDS[0]
        self.rounds: list[tuple[int, int]] = []
        self.look: Look | None = None
        self.is_over = self.wants_fixed = self.is_told_apart = False
        self.harmful: set[float] = set()
        self.in_doubt: dict[float, int] = {}
        self.errors: dict[float, str] = {}
        self.below_at_last = dict[float, float]()
        self._most_steps, self._has_begun_soon = most_steps, False
        self._fixed: dict[float, tuple[float, ...]] = {}
        self._left: dict[float, int] = {}
        self._candidates: dict[float, Candidate] = {}

    def add(self, lr: float, loss: float, error: str = "", fixed: tuple[float, ...] = ()) -> None:
        """Take the next loss of a rate, or of the control for η = 0.

        Args:
            lr: Whose.
            loss: The loss; NaN for a step that raised.
            error: What it raised.
            fixed: After this step, its losses on the fixed batches, where they are asked for (``wants_fixed``).
        """
        if error:
            self.errors[lr] = error
        losses = self.losses[lr] if lr else self.control
        losses.append(loss)
        if fixed:
            self._fixed[lr] = fixed
        if not self.is_over:
            self._follow(lr)
        if not math.isfinite(loss) and lr in self.alive:
            self.harmful.add(lr)
            self.below_at_last[lr] = math.inf
            self.is_told_apart = True
            self._leave([lr])
            self.is_over = not self.alive
        while not self.is_over and self.taken >= self.end:
            self._settle()

    def _follow(self, lr: float) -> None:
        """A race of another version, with other rounds: who trained on was in, and who did not had left."""
        if lr and lr not in self.alive:
            self._left.pop(lr, None)
            self.in_doubt.pop(lr, None)
            self.alive = sorted([*self.alive, lr])
        elif not lr and len(self.control) > self.end:
            self._leave([one for one in self.alive if len(self.losses[one]) < self.end])
            self.is_over = not self.alive

    @property
    def has_fallen(self) -> bool:
        """Whether, when the last round ended, a rate had lowered the loss beyond doubt."""
        return self.look is not None and self.look.has_fallen

    @property
    def taken(self) -> int:
        """Steps that the control and every rate still in have taken."""
        return min([len(self.control), *(len(self.losses[lr]) for lr in self.alive)])

    @property
    def last(self) -> int:
        """The step at which the race ends, as far as can be said now."""
        if self.is_over:
            return self.end
        return max(self.end, *(at for at, _ in self._ahead()))

    @property
    def updates(self) -> int:
        """Training steps of all rates so far: the control does not train."""
        return sum(map(len, self.losses.values()))

    @property
    def updates_left(self) -> int:
        """Training steps of all rates to the end, as far as can be said now."""
        if self.is_over:
            return 0
        now, alive = self.taken, len(self.alive)
        done = sum(len(self.losses[lr]) - now for lr in self.alive)
        left = 0
        for at, kept in self._ahead():
            left += alive * (at - now)
            now, alive = at, min(alive, kept)
        return max(0, left - done)

    def _ahead(self) -> list[tuple[int, int]]:
        """(step at its end, rates that stay at the most) of the rounds to come."""
        is_doubtful = self.wants_fixed and self.look is not None and not self._is_decided(self.look)
        now, updates, alive = self.taken, self.updates, len(self.alive)
        found, at = list[tuple[int, int]](), self.end
        while not found or (updates + alive * (at - now) <= self._most_steps and (is_doubtful or now < END)):
            updates += alive * (at - now)
            kept = DOUBTFUL_STAY.get(at, alive) if is_doubtful else SETTLED_STAY.get(at, (LEAST_STAY, LEAST_STAY))[1]
            now, alive = at, min(alive, kept)
            found.append((at, kept))
            at = _end_after(at)
        return found

    @property
    def turns(self) -> list[float]:
        """Who trains in which order: in the first round every second rate, the control, and the rest.

        So a race that is stopped soon knows something of the whole range.
        """
        if self.rounds:
            return [*self.alive, CONTROL]
        lrs = list(self.losses)
        first = [lr for lr in lrs[::2] if lr in self.alive]
        return [*first, CONTROL, *(lr for lr in lrs[1::2] if lr in self.alive)]

    def early_look(self) -> Look | None:
        """Before the first round's end, at those that are through it; None before there are three, and the control."""
        step, begin = self.end, begin_of(self.end)
        through = {lr: np.array(losses[begin:step]) for lr, losses in self.losses.items() if len(losses) >= step}
        through = {lr: losses for lr, losses in through.items() if lr in self.alive}
        if len(through) < 3 or len(self.control) < step:
            return None
        return look_at(step, through, np.array(self.control[begin:step]))

    def candidates(self) -> tuple[Candidate, ...]:
        """Every rate with what it did."""
        return tuple(map(self._candidate, self.losses))

    def _candidate(self, lr: float) -> Candidate:
        losses, left_after, is_harmful = self.losses[lr], self._left.get(lr), lr in self.harmful
        known = self._candidates.get(lr)
        # A live plot asks 20 times a second, and most rates wait for their turn meanwhile.
        if known and (len(known.losses), known.left_after, known.is_harmful) == (len(losses), left_after, is_harmful):
            return known
        self._candidates[lr] = Candidate(
            lr=lr, losses=tuple(losses), left_after=left_after, is_harmful=is_harmful, score=score_of(losses),
            score_error=error_of(losses), error=self.errors.get(lr, ""),
        )  # fmt: skip
        return self._candidates[lr]

    def _leave(self, lrs: list[float]) -> None:
        for lr in lrs:
            self.alive.remove(lr)
            self._left[lr] = len(self.losses[lr])

    def _settle(self) -> None:
        begin = begin_of(self.end)
        windows = {lr: np.array(self.losses[lr][begin : self.end]) for lr in self.alive}
        means = [float(window.mean()) for window in windows.values()]
        spread = max(means, default=0.0) - min(means, default=0.0)
        self.is_told_apart |= spread > SAME_PART * max(map(abs, means), default=0.0)
        self.look = look = self._look(windows, np.array(self.control[begin : self.end]))
        self.harmful |= look.harmful
        self.below_at_last |= {lr: below.mean for lr, below in look.below.items()}
        self._has_begun_soon |= look.has_begun and look.step < END
        self.wants_fixed |= not look.is_settled and self.end >= FIXED_FROM
        self._fixed.clear()
        at, self.end = self.end, _end_after(self.end)
        staying, is_enough = self._afforded(self._staying(look), look)
        is_idle = at >= ENDS[-1] and not self.is_told_apart
        if self._is_decided(look) or is_idle or not is_enough:
            self.is_over, self.end = True, at
            return
        gone = [lr for lr in self.alive if lr not in staying]
        self._leave(gone)
        self.in_doubt |= {lr: at for lr in gone if lr in look.close}
        self.rounds.append((at, len(gone)))

    def _look(self, windows: dict[float, np.ndarray[Any, Any]], control: np.ndarray[Any, Any]) -> Look:
        if not all(lr in self._fixed for lr in (CONTROL, *windows)):
            return look_at(self.end, windows, control)
        fixed, without = {lr: np.array(self._fixed[lr]) for lr in windows}, np.array(self._fixed[CONTROL])
        if not np.isfinite(without).all() or all(np.array_equal(own, without) for own in fixed.values()):
            return look_at(self.end, windows, control)  # in evaluation mode the user's code gives no such loss
        return look_at(self.end, windows, control, fixed, without)

    def _is_decided(self, look: Look) -> bool:
        if self.is_late:
            first = ENDS[-1]
        else:
            first = SOON_END if look.drop >= FAR_FALLEN * look.level else END
        return look.is_settled and look.has_begun and look.step >= first

    @property
    def is_late(self) -> bool:
        """Whether training had not begun before ``END``: then the first rate to move leads, and is often too high."""
        return self.look is not None and self.look.step >= END and not self._has_begun_soon

    def _staying(self, look: Look) -> set[float]:
        at, ordered = look.step, sorted(look.below, key=lambda lr: look.below[lr].mean)
        most = DOUBTFUL_STAY.get(at, len(ordered))
        least, settled_most = SETTLED_STAY.get(at, (LEAST_STAY, len(ordered)))
        if look.has_fallen:
            most = settled_most if look.is_settled and look.has_begun else most
            # Where training has hardly begun, their order is chance, but the loss is smooth in η.
            order = ordered if look.has_begun else sorted(look.unharmed, key=lambda lr: _distance(lr, look.leader))
            staying = {*[lr for lr in order if lr in look.close][:most], *order[:least]}
        else:
            # The lowest are ahead there by doing nothing.
            staying = set(look.unharmed[-most:] or ordered[:least])
        if not look.has_begun and at < OUTPOST_UNTIL:
            staying |= set([lr for lr in look.below if lr > max(staying) and math.isfinite(look.below[lr].mean)][:1])
        return staying

    def _afforded(self, staying: set[float], look: Look) -> tuple[set[float], bool]:
        """As many as can take the steps of the next round, and whether those are enough."""
        steps, left = self.end - look.step, self._most_steps - self.updates
        ordered = sorted(staying, key=lambda lr: -look.below[lr].mean) if look.has_fallen else sorted(staying)
        while len(ordered) > LEAST_STAY and len(ordered) * steps > left:
            del ordered[0]
        return set(ordered), len(ordered) * steps <= left or look.step < SOON_END


def _distance(lr: float, leader: float) -> float:
    """In log η; of two rates as far away, the lower one is taken for the nearer."""
    return abs(math.log(lr / leader) + 1e-3)


def _end_after(step: int) -> int:
    return next((at for at in ENDS if at > step), step + step // 2)
