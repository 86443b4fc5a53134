"""What a comparison is asked (``ComparisonSettings``), what it yields (``LossStep``) and knows (``Comparison``)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..plain_data import json_ready
from ..task.order import cut_of
from . import rules as comparison_rules
from .budget import Budget
from .curves import BatchCurve, RunCurve, curves_of, run_curves_of

if TYPE_CHECKING:
    from ..task.task import Task

Outcome = Literal["finished", "diverged", "stopped"]
FULL = "full"
RATES = ("fixed", "scaled", "found")


class Run(NamedTuple):
    """One training run of a comparison: all that tells it from the others.

    Attributes:
        batch_size: k, samples behind one update.
        lr: η, constant.
        seed: Decides the order of the data and the run's random numbers; the weights at the start are the same.
    """

    batch_size: int
    lr: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSettings:
    """What a comparison is asked to do; the widget and ``compare_batch_sizes`` take the same one.

    Args:
        batch_sizes: The k to compare, each ≥ 1, none twice; "full" stands for all samples in one batch. None for 1, 8,
            64 and "full" (at most 2,048 samples).
        seeds: Runs of each k, ≥ 1: they start from the same weights and differ in the order of the data.
        budget: What every run may spend, as text: "5600 samples", "4 epochs", "400 updates", "10 s"; a whole number
            means samples. None for 5 epochs, at most 20,000 samples. See ``Budget``.
        lr: η of each k. None or "fixed": the optimizer's own for all. A number: that for all. "scaled": the optimizer's
            own belongs to the task's batch size and grows with k, linearly (Goyal et al. 2017, arXiv 1706.02677), or
            with its square root where the optimizer divides by the gradient's size, as Adam does (Malladi et al. 2022,
            arXiv 2205.10287). "found": by a sweep at each k. A mapping gives η by k (or "full").
        target_loss: The training loss whose reaching is timed; None for half of the way down, see
            ``comparison_rules.target_of``.
        validation: Held-out data, in the forms of ``Task``'s ``data``, at most 1,024 samples of which are evaluated now
            and then, in eval mode; nobody is charged the time.
        capacity: A card ("8 GB", "T4", bytes) for which the memory of each k is predicted; None for none.
    Raises:
        TypeError, ValueError: For values outside these limits.
    """

    batch_sizes: tuple[int | str, ...] | None = None
    seeds: int = 1
    budget: str | int | None = None
    lr: float | str | Mapping[int | str, float] | None = None
    target_loss: float | None = None
    validation: Any = field(default=None, compare=False, repr=False)
    capacity: str | int | None = None

    def __post_init__(self) -> None:
        if self.batch_sizes is not None:
            object.__setattr__(self, "batch_sizes", _checked_sizes(self.batch_sizes))
        if not isinstance(self.seeds, Integral) or isinstance(self.seeds, bool) or self.seeds < 1:
            raise ValueError(f"seeds must be a whole number from 1 up, not {self.seeds!r}")
        Budget.parse(self.budget)
        _check_lr(self.lr)
        target = self.target_loss
        if target is not None and not (isinstance(target, Real) and math.isfinite(target)):
            raise ValueError(f"target_loss must be a finite number or None, not {target!r}")
        if self.capacity is not None:
            from ..memory.cards import parse_capacity  # only here: the engine's memory tools are large

            parse_capacity(self.capacity)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossStep:
    """A stretch of one training run, since the run's event before it.

    Attributes:
        run: Which one.
        samples_seen: By its end, since the run's start.
        updates: The same in updates; ``samples_seen`` is k times as many.
        loss: Mean training loss over the stretch, each batch's before its update.
        seconds: What the run's own steps have taken by its end, the loading of the data included.
        point: Which point of the run's curve it adds to, from 0: a point may be made of several events.
        held_out_loss: After the stretch, where it was evaluated.
        ended: Why the run ended here before its budget was spent: "diverged" (the loss is not finite), or a sentence.
    """

    run: Run
    samples_seen: int
    updates: int
    loss: float
    seconds: float
    point: int
    held_out_loss: float | None = None
    ended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is known after a comparison, a pure fold of its events (see ``from_steps``).

    Attributes:
        settings: What was asked for.
        budget: What every run may spend.
        curves: One per run (k, η, seed).
        by_batch_size: One per k, in rising k: the mean over its seeds and the band around it.
        dataset_size: Samples in the data; None where they do not tell.
        start_loss: Training loss before the first update, from the largest k; None without an event.
        target_loss: The training loss whose reaching is timed; None where no run came down.
        batch_size: The k that reached it in the least time, or, where none did, ended lowest; None without an answer.
        lr: η it was trained at; None with ``batch_size``.
        verdict, reason, limit: The answer, its evidence and its limit in words.
        caveats: What a reader should know besides, in sentences.
        outcome: "finished"; "diverged" where every run did; "stopped".
    """

    settings: ComparisonSettings
    budget: Budget
    curves: tuple[RunCurve, ...] = field(repr=False)
    by_batch_size: tuple[BatchCurve, ...]
    dataset_size: int | None
    start_loss: float | None
    target_loss: float | None
    batch_size: int | None
    lr: float | None
    verdict: str
    reason: str
    limit: str
    caveats: tuple[str, ...]
    outcome: Outcome

    @classmethod
    def from_steps(
        cls,
        steps: Iterable[LossStep],
        *,
        settings: ComparisonSettings | None = None,
        dataset_size: int | None = None,
        memory: Mapping[int, int] | None = None,
        caveats: tuple[str, ...] = (),
    ) -> Comparison:
        """The result of any number of events, so that a stopped comparison is a valid, shorter one.

        Args:
            steps: Events of one comparison, in order; other runs' may lie between a run's own.
            settings: Those of the comparison.
            dataset_size: Samples in the data.
            memory: Predicted peak bytes by k, on the settings' card.
            caveats: To be kept.
        """
        return cls.from_curves(
            run_curves_of(steps), settings=settings, dataset_size=dataset_size, memory=memory, caveats=caveats
        )

    @classmethod
    def from_curves(
        cls,
        curves: Iterable[RunCurve],
        *,
        settings: ComparisonSettings | None = None,
        dataset_size: int | None = None,
        memory: Mapping[int, int] | None = None,
        caveats: tuple[str, ...] = (),
    ) -> Comparison:
        """The same from the runs' curves, which a live view keeps and lets grow."""
        settings = settings or ComparisonSettings()
        budget = Budget.parse(settings.budget).for_data(dataset_size)
        curves = tuple(curves)
        by_batch_size = curves_of(curves, budget=budget, dataset_size=dataset_size, memory=memory or {})
        answer = comparison_rules.answer(by_batch_size, budget, settings)
        if len(by_batch_size) > 1 and max(curve.seeds for curve in by_batch_size) == 1:
            caveats = (*caveats, "One seed for each k: small differences may be chance.")
        return cls(
            settings=settings, budget=budget, curves=curves, by_batch_size=by_batch_size,
            dataset_size=dataset_size, caveats=caveats,
            start_loss=answer.start_loss, target_loss=answer.target_loss, batch_size=answer.batch_size, lr=answer.lr,
            verdict=answer.verdict, reason=answer.reason, limit=answer.limit, outcome=answer.outcome,
        )  # fmt: skip

    def table(self) -> list[dict[str, Any]]:
        """One row per k, ready for ``pandas.DataFrame``; what is not known is None.

        Returns:
            batch_size; lr; samples_to_target, seconds_to_target (to ``target_loss``); updates_per_epoch;
            seconds_per_epoch; final_loss (training, over the last stretch), final_loss_low, final_loss_high (over the
            seeds); held_out_loss; peak_bytes (predicted, on the settings' card); outcome.
        """
        return [curve.row(self.target_loss) for curve in self.by_batch_size]

    def apply(self, task: Task) -> Task:
        """A new task with the batch size found; the optimizer gets the η it was trained at.

        Raises:
            ValueError: When no k was found, or the task's loader cannot be rebuilt.
        """
        if self.batch_size is None or self.lr is None:
            raise ValueError(f"there is no batch size to apply. {self.verdict} {self.reason}")
        cut = cut_of(task, self.batch_size)
        changed = task.with_(batch_size=cut.samples, accumulate=cut.accumulate)
        if self.lr != task.lr:
            task.set_lr(self.lr)
        return changed

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema``, the answer, table and runs; inf and NaN become None."""
        settings = {
            "batch_sizes": self.settings.batch_sizes, "seeds": self.settings.seeds, "budget": self.budget.text,
            "lr": dict(self.settings.lr) if isinstance(self.settings.lr, Mapping) else self.settings.lr,
            "target_loss": self.settings.target_loss, "capacity": self.settings.capacity,
        }  # fmt: skip
        names = (
            "dataset_size", "start_loss", "target_loss", "batch_size", "lr", "verdict", "reason", "limit", "caveats",
            "outcome",
        )  # fmt: skip
        plain = {
            "kind": "comparison", "schema": 1, "settings": settings, **{name: getattr(self, name) for name in names},
            "table": self.table(), "curves": [{**asdict(curve), "run": curve.run._asdict()} for curve in self.curves],
        }  # fmt: skip
        return json_ready(plain)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        sizes = ", ".join(str(curve.batch_size) for curve in self.by_batch_size)
        return (
            f"Comparison(k = {sizes or 'none'}, {self.budget.text} each, {self.outcome})\n"
            f"  {self.verdict}{'' if self.verdict.endswith('.') else ':'} {self.reason}"
        )


def _checked_sizes(batch_sizes: Any) -> tuple[int | str, ...]:
    sizes = (batch_sizes,) if isinstance(batch_sizes, (Integral, str)) else tuple(batch_sizes)
    if not sizes:
        raise ValueError("batch_sizes is empty: give one or more, such as [1, 32, 512]")
    for size in sizes:
        is_count = isinstance(size, Integral) and not isinstance(size, bool)
        if size != FULL and not is_count:
            raise TypeError(f"batch_sizes must be whole numbers or {FULL!r}, not {size!r}")
        if is_count and size < 1:
            raise ValueError(f"a batch has one sample or more, not {size!r}")
    twice = [size for i, size in enumerate(sizes) if size in sizes[:i]]
    if twice:
        raise ValueError(f"batch_sizes has {twice[0]} twice; for another order of the data raise seeds")
    return tuple(size if size == FULL else int(size) for size in sizes)


def _check_lr(lr: Any) -> None:
    if isinstance(lr, str):
        if lr not in RATES:
            raise ValueError(f"lr must be a number, one of {', '.join(RATES)}, or η by batch size, not {lr!r}")
        return
    rates: list[Any] = list(lr.values()) if isinstance(lr, Mapping) else [] if lr is None else [lr]
    for rate in rates:
        if not isinstance(rate, Real) or isinstance(rate, bool):
            raise TypeError(f"lr must be a number, one of {', '.join(RATES)}, or η by batch size, not {rate!r}")
        if not (math.isfinite(rate) and float(rate) > 0):
            raise ValueError(f"lr must be above 0, not {rate!r}")
