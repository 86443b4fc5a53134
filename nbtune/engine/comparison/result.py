"""What is known after a comparison of batch sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..direction import direction_of
from ..plain_data import json_ready
from ..small_print import small_print
from ..task.order import cut_of
from . import rules
from .budget import Budget
from .curves import BatchCurve, RunCurve, curves_of, run_curves_of, times
from .events import LossStep
from .settings import ComparisonSettings

if TYPE_CHECKING:
    from ..task.task import Task

Outcome = Literal["finished", "diverged", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is known after a comparison, a pure fold of its events (see ``from_steps``).

    Attributes:
        settings: What was asked for.
        budget: What every run may spend.
        curves: One per run (k, η, seed).
        by_batch_size: One per k, in rising k: the mean over its seeds and the band around it.
        dataset_size: Samples in the data; None where they do not tell.
        sign: −1 where the losses of the curves are minus what the user's code returns, since its optimizer maximizes;
            else 1. The two losses below and those of the table are the user's own.
        start_loss: Training loss before the first update, from the largest k; None without an event.
        target_loss: The training loss whose reaching is timed; None where no run came down.
        batch_size: The k that reached it in the least time, or, where none did, ended lowest; None without an answer.
        lr: η it was trained at; None with ``batch_size``.
        verdict, reason, limit: The answer, its evidence and its limit in words.
        caveats: What a reader should know besides, in sentences.
        outcome: "finished"; "diverged" where every run did; "stopped".
        data_form: How the data were taken, such as "1 797 samples, batches of 32, shuffled"; "" where nobody said.
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
    data_form: str = field(default="", compare=False)
    sign: int = 1

    @classmethod
    def from_steps(
        cls,
        steps: Iterable[LossStep],
        *,
        settings: ComparisonSettings | None = None,
        dataset_size: int | None = None,
        memory: Mapping[int, int] | None = None,
        caveats: tuple[str, ...] = (),
        data_form: str = "",
        sign: int = 1,
    ) -> Comparison:
        """The result of any number of events, so that a stopped comparison is a valid, shorter one.

        Args:
            steps: Events of one comparison, in order; other runs' may lie between a run's own.
            settings: Those of the comparison.
            dataset_size: Samples in the data.
            memory: Predicted peak bytes by k, on the settings' card.
            caveats, data_form, sign: To be kept.
        """
        return cls.from_curves(
            run_curves_of(steps), settings=settings, dataset_size=dataset_size, memory=memory, caveats=caveats,
            data_form=data_form, sign=sign,
        )  # fmt: skip

    @classmethod
    def from_curves(
        cls,
        curves: Iterable[RunCurve],
        *,
        settings: ComparisonSettings | None = None,
        dataset_size: int | None = None,
        memory: Mapping[int, int] | None = None,
        caveats: tuple[str, ...] = (),
        data_form: str = "",
        sign: int = 1,
    ) -> Comparison:
        """The same from the runs' curves, which a live view keeps and lets grow."""
        settings = settings or ComparisonSettings()
        budget = Budget.parse(settings.budget).for_data(dataset_size)
        curves = tuple(curves)
        by_batch_size = curves_of(curves, budget=budget, dataset_size=dataset_size, memory=memory or {})
        answer = rules.answer(by_batch_size, budget, settings, way=direction_of(sign))
        if len(by_batch_size) > 1 and max(curve.seeds for curve in by_batch_size) == 1:
            caveats = (*caveats, "One seed for each k: small differences may be chance.")
        return cls(
            settings=settings, budget=budget, curves=curves, by_batch_size=by_batch_size,
            dataset_size=dataset_size, caveats=caveats, data_form=data_form,
            start_loss=times(sign, answer.start_loss), target_loss=times(sign, answer.target_loss), sign=sign,
            batch_size=answer.batch_size, lr=answer.lr,
            verdict=answer.verdict, reason=answer.reason, limit=answer.limit, outcome=answer.outcome,
        )  # fmt: skip

    def table(self) -> list[dict[str, Any]]:
        """One row per k, ready for ``pandas.DataFrame``; what is not known is None.

        Returns:
            batch_size; lr; samples_to_target, seconds_to_target (to ``target_loss``); updates_per_epoch;
            seconds_per_epoch; final_loss (training, over the last stretch), final_loss_low, final_loss_high (over the
            seeds); held_out_loss; peak_bytes (predicted, on the settings' card); outcome.
        """
        return [curve.row(times(self.sign, self.target_loss), self.sign) for curve in self.by_batch_size]

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
            "outcome", "data_form", "sign",
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
            f"{small_print(self)}"
        )
