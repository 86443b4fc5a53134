"""What is read off the steps of a race or a sweep: the answer, and the curve that it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .race.candidate import Candidate

Outcome = Literal["finished", "diverged", "stopped"]
Confidence = Literal["sure", "between", "cannot tell"]

NOT_FINITE, BEFORE_ANY_STEP = "No clear answer: the loss is not finite.", "It is inf or NaN before any step."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Which η, and why; see ``LRCurve`` for the fields."""

    suggestion: float | None = None
    peak: float | None = None
    low: float | None = None
    high: float | None = None
    best: float | None = None
    rises_from: float | None = None
    fit: tuple[tuple[float, float], ...] = ()
    retry: tuple[float, float] | None = None
    verdict: str
    reason: str
    limit: str = ""
    confidence: Confidence = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer with the losses behind it; see ``LRCurve`` for the fields.

    ``lrs``, ``losses`` and ``smoothed_losses`` have shape (steps,) for a sweep and (rates with a score,) for a race.
    """

    answer: Answer
    outcome: Outcome
    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed_losses: tuple[float, ...]
    start_loss: float | None
    candidates: tuple[Candidate, ...] = ()
    rounds: tuple[tuple[int, int], ...] = ()


class HasReading:
    """What was read off a search, as attributes of the result itself.

    Attributes:
        reading: Where they stand.
    """

    __slots__ = ()

    reading: Reading

    @property
    def lrs(self) -> tuple[float, ...]:
        """η, rising: of each step of a sweep, of each rate of a race that has a score."""
        return self.reading.lrs

    @property
    def losses(self) -> tuple[float, ...]:
        """The loss of each of ``lrs``: the step's, or the rate's score (see ``Candidate``); inf where it diverged."""
        return self.reading.losses

    @property
    def smoothed_losses(self) -> tuple[float, ...]:
        """Of a sweep, through a centred window, so nothing lags (see ``smooth``); of a race, the scores."""
        return self.reading.smoothed_losses

    @property
    def start_loss(self) -> float | None:
        """Smoothed loss at the start; of a race, the mean loss without training."""
        return self.reading.start_loss

    @property
    def suggestion(self) -> float | None:
        """η for training at a constant rate, or None with ``reason`` saying why."""
        return self.reading.answer.suggestion

    @property
    def peak(self) -> float | None:
        """η as the ``max_lr`` of a one-cycle schedule; None with ``suggestion``."""
        return self.reading.answer.peak

    @property
    def confidence(self) -> Confidence:
        """What the losses say of the answer.

        "sure": the rates that could not be told from the best lie within a decade, soon after the start; "between":
        they lie somewhere from ``low`` to ``high``, and the suggestion with them; "cannot tell": there is no
        suggestion, and a rate better than no training, if there is one, lies there. A sweep is never sure: it takes
        one look at each η.
        """
        return self.reading.answer.confidence

    @property
    def low(self) -> float | None:
        """Where the range begins; None where no range is known.

        Of a race: the rates that could not be told from the best, and half of the way to the next ones. Of a sweep: the
        usable range, from where the loss is 5 % below its start (or from the suggestion, if that is lower) to its
        minimum; "usable" is not "safe": near ``high`` longer training may diverge.
        """
        return self.reading.answer.low

    @property
    def high(self) -> float | None:
        """Where that range ends; None with ``low``."""
        return self.reading.answer.high

    @property
    def best(self) -> float | None:
        """Of a race: η of the lowest score, by a parabola through it and its neighbours."""
        return self.reading.answer.best

    @property
    def fit(self) -> tuple[tuple[float, float], ...]:
        """That parabola as points (η, loss); empty where it has none."""
        return self.reading.answer.fit

    @property
    def rises_from(self) -> float | None:
        """η at which the loss clearly rises after its minimum, or None."""
        return self.reading.answer.rises_from

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Of a race: every rate with its losses."""
        return self.reading.candidates

    @property
    def rounds(self) -> tuple[tuple[int, int], ...]:
        """Of a race: (step, rates that left after it), for each round that has ended."""
        return self.reading.rounds

    @property
    def retry(self) -> tuple[float, float] | None:
        """A range (lr_min, lr_max) worth trying next when there is no suggestion."""
        return self.reading.answer.retry

    @property
    def verdict(self) -> str:
        """The answer in words."""
        return self.reading.answer.verdict

    @property
    def reason(self) -> str:
        """Its evidence."""
        return self.reading.answer.reason

    @property
    def limit(self) -> str:
        """Its limit."""
        return self.reading.answer.limit

    @property
    def outcome(self) -> Outcome:
        """ "finished", "diverged" (ended early: the loss rose) or "stopped"."""
        return self.reading.outcome
