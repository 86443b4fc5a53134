"""What is known after a sweep or a race of learning rates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...formats import format_lr
from ..checks import choice, events, instance, whole_number
from ..curvature.estimate import Curvature
from ..direction import direction_of
from ..plain_data import json_ready
from ..small_print import small_print
from ..task.task import Task, checked_task
from .events import Ended, LRStep, RaceStep, is_training_step
from .orders import pooled, stopped_after
from .race import rules as race_rules
from .race.standings import Standings
from .reading import HasReading, Reading
from .schedule import Kind, Schedule, part_of_best
from .settings import LRSettings
from .sweep import reading as sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class LRCurve(HasReading):
    """What is known after a race or a sweep, a pure fold of its steps (see ``from_steps``).

    What was read off the steps is in ``reading``; its fields are also the curve's own.

    Attributes:
        steps: The training steps, in order: ``RaceStep`` or ``LRStep``.
        settings: What was asked for.
        batch_size: Samples behind one update; None where the data do not tell.
        reading: What the steps say.
        orders: Of a search over several data orders: the curve of each, from the second on. Rates are then medians
            over the orders; losses are means over those in which a rate stayed longest, or medians of a sweep.
        curvature: 2/λmax at the start, where it was asked for.
        caveats: What a reader should know besides, in sentences: what was done with losses, batches and modes, and
            what the lack of memory has led to.
        sign: −1 where the losses here are minus what the user's code returns, since its optimizer maximizes; else 1.
        data_form: How the data were taken, such as "1 797 samples, batches of 32, shuffled"; "" where nobody said.
    """

    steps: tuple[LRStep | RaceStep, ...]
    settings: LRSettings
    batch_size: int | None
    reading: Reading
    orders: tuple[LRCurve, ...] = ()
    curvature: Curvature | None = None
    caveats: tuple[str, ...] = field(default=(), compare=False)
    data_form: str = field(default="", compare=False)
    sign: int = 1

    @classmethod
    def from_steps(
        cls,
        steps: Iterable[Any],
        *,
        settings: LRSettings | None = None,
        batch_size: int | None = None,
        sign: int = 1,
    ) -> LRCurve:
        """The curve of any number of steps, so that a stopped run is a valid, shorter result.

        Args:
            steps: Events of one race or one sweep, in order, possibly none.
            settings: Those of the run; without them the steps are taken for a whole sweep (a race needs them).
            batch_size: Samples behind one update.
            sign: −1 for the losses of an optimizer that maximizes, which the steps have with their sign reversed.
        Raises:
            TypeError, ValueError: For anything else.
        """
        if batch_size is not None:
            batch_size = whole_number("batch_size", batch_size)
        sign = choice("sign", sign, (1, -1))
        fold = LRFold(instance("settings", settings, LRSettings), batch_size, sign=sign)
        for step in events("steps", steps, (LRStep, RaceStep, Ended, Curvature)):
            fold.add(step)
        return fold.result()

    @property
    def is_held_out(self) -> bool:
        """Whether the losses are those of held-out data."""
        return any(getattr(step, "validation_loss", None) is not None for step in self.steps[:1]) or (
            self.settings.validation is not None
        )

    @property
    def updates(self) -> int:
        """Training steps in all; those of the control, which does not train, are not among them."""
        return sum(map(is_training_step, self.steps))

    @property
    def theory(self) -> str:
        """What the curvature says, in a sentence; "" where it was not asked for."""
        return "" if self.curvature is None else self.curvature.sentence

    @property
    def seconds(self) -> float:
        """From the start of the run to its last step."""
        return self.steps[-1].seconds if self.steps else 0.0

    def for_steps(self, train_steps: int | None) -> LRCurve:
        """The same search read for a training of so many optimizer updates: of a race, the suggestion moves.

        Args:
            train_steps: ≥ 1; None where nobody knows.
        Raises:
            ValueError: For anything else.
        """
        settings = replace(self.settings, train_steps=train_steps)
        read = LRCurve.from_steps(self.steps, settings=settings, batch_size=self.batch_size, sign=self.sign)
        return replace(read, curvature=self.curvature, caveats=self.caveats, data_form=self.data_form)

    def schedule(self, steps: int | None = None, kind: Kind = "decay") -> Schedule:
        """η at every step of a training, by what is known after this search.

        Args:
            steps: Optimizer updates of the whole training; None for the settings' ``train_steps``.
            kind: "decay", which trained best at every length tried, "one-cycle" or "constant"; see ``Schedule``.
        Raises:
            ValueError: When there is no suggestion, or nobody said how many steps.
        """
        steps = self.settings.train_steps if steps is None else steps
        if steps is None:
            raise ValueError("steps must say how long the training is, in optimizer updates, such as schedule(3000)")
        if self.suggestion is None or self.peak is None:
            raise ValueError(f"there is no suggestion to make a schedule of. {self.verdict} {self.reason}")
        schedule = Schedule(kind, steps, self.peak)
        # Not of ``best``: a race that was stopped early, or that is in doubt, keeps a margin below that.
        read = self if schedule.steps == self.settings.train_steps else self.for_steps(schedule.steps)
        if schedule.kind == "constant":
            return replace(schedule, peak=read.suggestion or self.suggestion)
        peak = read.peak or self.peak
        if schedule.kind == "decay" and self.best is not None:  # a sweep has none
            peak *= self._part("decay", schedule.steps) / self._part("one-cycle", schedule.steps)
        return replace(schedule, peak=peak)

    def _part(self, kind: Kind, steps: int) -> float:
        return part_of_best(kind, steps, is_sure=self.confidence == "sure")

    def apply(self, task: Task) -> None:
        """Set the optimizer's learning rate to the suggestion; groups keep their ratios.

        Raises:
            TypeError: For something that is no task.
            ValueError: When there is no suggestion.
        """
        checked_task(task, "apply")
        if self.suggestion is None:
            raise ValueError(f"there is no suggestion to apply. {self.verdict} {self.reason}")
        task.set_lr(self.suggestion, optimizer=self.settings.optimizer)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema`` and the fields; inf and NaN become None."""
        # Without the data: they would be copied, and are no result.
        plain = asdict(replace(self, settings=replace(self.settings, validation=None, optimizers=())))
        plain["settings"]["optimizers"] = [rival.name for rival in self.settings.optimizers]
        reading = plain.pop("reading")
        answer = reading.pop("answer")
        # They follow from the steps, or from the candidates.
        del reading["lrs"], reading["losses"], plain["settings"]["validation"]
        return {"kind": "lr_curve", "schema": 1, **json_ready({**plain, **reading, **answer})}

    def __repr__(self) -> str:
        suggestion = "None" if self.suggestion is None else format_lr(self.suggestion)
        is_race = self.settings.mode == "race"
        usable = ""
        if self.low is not None and self.high is not None:
            what = "usable" if not is_race else "good" if self.confidence == "sure" else "somewhere from"
            usable = f", {what} {format_lr(self.low)} to {format_lr(self.high)}"
        is_whole = is_race or self.orders
        taken = f"{self.updates} steps in all" if is_whole else f"{len(self.steps)} of {self.settings.steps} steps"
        return (
            f"LRCurve(suggestion={suggestion}{usable}, {taken}, "
            f"{self.outcome})\n  {self.verdict}{'' if self.verdict.endswith('.') else ':'} {self.reason}"
            f"{small_print(self)}"
        )


class LRFold:
    """Events become a curve one by one, so that a live view pays for what is new and not for all there was.

    Args:
        settings: Those of the run; without them the steps are taken for a whole sweep (a race needs them).
        batch_size: Samples behind one update.
        sign: As of ``LRCurve``.
    Attributes:
        taken: Training steps so far; those of the control, which does not train, are not among them.
    """

    def __init__(self, settings: LRSettings | None = None, batch_size: int | None = None, *, sign: int = 1) -> None:
        self._settings, self._batch_size, self._sign = settings, batch_size, sign
        self._steps: list[LRStep | RaceStep] = []
        self.taken = 0
        self._curvature: Curvature | None = None
        self._standings = None if settings is None or settings.mode == "quick" else _standings(settings)
        self._orders: dict[int, LRFold] = {}
        self._known: LRCurve | None = None

    def add(self, step: Any) -> None:
        """Take the next event; those of kinds that say nothing of one curve are passed over."""
        if isinstance(step, Curvature):
            self._curvature = self._curvature or step
        elif isinstance(step, LRStep | RaceStep):
            self._steps.append(step)
            self.taken += is_training_step(step)
            if self._settings is not None and self._settings.repeats > 1:
                self._order(step.repeat, self._settings).add(step)
            # The first order's own standings are those of a race over one order.
            elif self._standings is not None:
                fixed = getattr(step, "fixed_losses", ())
                self._standings.add(step.lr, step.loss, getattr(step, "error", ""), fixed)
        else:
            return
        self._known = None

    def read_for(self, train_steps: int | None) -> None:
        """From now on, read what is known for a training of so many optimizer updates; see ``LRCurve.for_steps``."""
        if self._settings is not None:
            self._settings, self._known = replace(self._settings, train_steps=train_steps), None
        for fold in self._orders.values():
            fold.read_for(train_steps)

    def result(self) -> LRCurve:
        """What is known now."""
        if self._known is None:
            settings = self._settings or sweep.settings_of(self._steps)
            orders = tuple(fold.result() for fold in self._orders.values())
            self._known = LRCurve(
                steps=tuple(self._steps), settings=settings, batch_size=self._batch_size, curvature=self._curvature,
                reading=self._reading(orders, settings), orders=orders if len(orders) > 1 else (), sign=self._sign,
            )  # fmt: skip
        return self._known

    def _order(self, repeat: int, settings: LRSettings) -> LRFold:
        if repeat not in self._orders:
            self._orders[repeat] = LRFold(replace(settings, repeats=1), self._batch_size, sign=self._sign)
        return self._orders[repeat]

    def _reading(self, orders: tuple[LRCurve, ...], settings: LRSettings) -> Reading:
        way = direction_of(self._sign)
        if len(orders) > 1:
            return pooled([curve.reading for curve in orders], settings)
        if orders:
            return _with_others_to_come(orders[0].reading, settings.repeats)
        if self._standings is not None:
            is_replayed = bool(self._steps) and getattr(self._steps[-1], "is_replayed", False)
            return race_rules.reading_of(
                self._standings, is_replayed=is_replayed, way=way, train_steps=settings.train_steps
            )
        return sweep.reading_of(self._steps, settings, way)


def _with_others_to_come(first: Reading, repeats: int) -> Reading:
    """Of the first order, where several were asked for."""
    limit = "" if first.outcome == "stopped" else stopped_after(1, repeats)
    answer = replace(first.answer, limit=" ".join(filter(None, [first.answer.limit, limit])))
    return replace(first, answer=answer, outcome="stopped")


def _standings(settings: LRSettings) -> Standings:
    return Standings(settings.race_lrs, most_steps=settings.max_steps)
