"""What each training run of a comparison may spend: equal samples, equal updates or equal seconds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Integral
from typing import Literal

from ...formats import format_count, format_loss
from ..checks import MOST, shown

Unit = Literal["samples", "epochs", "updates", "seconds"]

DEFAULT_EPOCHS = 5
DEFAULT_SAMPLES = 20_000

_UNITS: dict[str, Unit] = {
    "sample": "samples", "samples": "samples", "epoch": "epochs", "epochs": "epochs", "update": "updates",
    "updates": "updates", "step": "updates", "steps": "updates", "s": "seconds", "sec": "seconds",
    "second": "seconds", "seconds": "seconds", "min": "seconds", "minutes": "seconds",
}  # fmt: skip
_EXAMPLES = "'5600 samples', '4 epochs', '400 updates' or '10 s'"


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount that every run may spend.

    Attributes:
        amount: > 0.
        unit: What is equal for all. Epochs become samples as soon as the data are known.
        is_default: Whether nobody chose it.
    """

    amount: float
    unit: Unit
    is_default: bool = False

    @classmethod
    def parse(cls, budget: str | int | None) -> Budget:
        """A budget from text; a whole number means samples, None the default: 5 epochs, at most 20,000 samples.

        Raises:
            TypeError, ValueError: For anything else, and for nothing at all (0).
        Examples:
            >>> Budget.parse("10 s").text, Budget.parse("400 updates").text, Budget.parse(5600).text
            ('10 s', '400 updates', '5\u202f600 samples')
        """
        if budget is None:
            return cls(DEFAULT_EPOCHS, "epochs", True)
        if isinstance(budget, Integral) and not isinstance(budget, bool):
            return cls(_amount(int(budget), "samples", budget), "samples")
        if not isinstance(budget, str):
            raise TypeError(f"budget must be text such as {_EXAMPLES}, or a number of samples, not {shown(budget)}")
        found = re.fullmatch(r"([0-9][0-9_,. \u202f]*?(?:e[0-9]+)?)\s*([a-z]+)?", budget.strip().lower())
        unit = _UNITS.get((found[2] or "samples") if found else "")
        if found is None or unit is None:
            raise ValueError(f"budget must be such as {_EXAMPLES}, not {shown(budget)}")
        amount = _number(found[1], budget) * (60 if (found[2] or "").startswith("min") else 1)
        return cls(_amount(amount, unit, budget), unit)

    def for_data(self, dataset_size: int | None) -> Budget:
        """The same with epochs as samples.

        Raises:
            ValueError: For epochs of data that do not tell their size.
        """
        if self.unit != "epochs":
            return self
        if self.is_default:
            samples = DEFAULT_SAMPLES if dataset_size is None else min(DEFAULT_SAMPLES, DEFAULT_EPOCHS * dataset_size)
            return Budget(samples, "samples", True)
        if dataset_size is None:
            raise ValueError("the data do not tell how many samples an epoch has: give the budget in samples")
        return Budget(max(1, round(self.amount * dataset_size)), "samples")

    def updates_of(self, batch_size: int) -> int | None:
        """Updates that a run at this batch size takes, at least 1; None where time decides."""
        if self.unit == "seconds":
            return None
        return max(1, int(self.amount if self.unit == "updates" else self.amount // batch_size))

    def share_spent(self, batch_size: int, updates: int, seconds: float) -> float:
        """The part of the budget that a run has spent, 1 at its end."""
        total = self.updates_of(batch_size)
        return seconds / self.amount if total is None else updates / total

    @property
    def text(self) -> str:
        """Such as "5 600 samples"."""
        if self.unit == "seconds":
            return f"{format_loss(self.amount)} s"
        noun = self.unit[:-1] if self.amount == 1 else self.unit
        amount = format_count(self.amount) if self.amount == int(self.amount) else f"{self.amount:g}"
        return f"{amount} {noun}"


def _number(text: str, whole: str) -> float:
    try:
        return float(re.sub(r"[_ \u202f]|,(?=[0-9]{3}\b)", "", text))
    except ValueError:
        raise ValueError(f"budget must be such as {_EXAMPLES}, not {shown(whole)}") from None


def _amount(amount: float, unit: Unit, budget: str | int) -> float:
    if not amount > 0 or amount == math.inf:
        raise ValueError(f"budget must be above 0 and finite, not {shown(budget)}")
    if unit in ("samples", "updates") and (amount > MOST or amount != int(amount)):
        raise ValueError(f"budget must be a whole number of {unit}, at most a billion, not {shown(budget)}")
    return amount
