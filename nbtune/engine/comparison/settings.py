"""What a comparison is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from ..checks import choice, each, is_several, number, rate, shown, whole_number
from ..memory.cards import parse_capacity
from .budget import Budget

FULL = "full"


RATES = ("fixed", "scaled", "found")
_LR = f"a number, one of {', '.join(RATES)}, or η by batch size"


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
        object.__setattr__(self, "seeds", whole_number("seeds", self.seeds, most=1000))
        Budget.parse(self.budget)
        object.__setattr__(self, "lr", _checked_lr(self.lr))
        if self.target_loss is not None:
            object.__setattr__(self, "target_loss", number("target_loss", self.target_loss))
        if self.capacity is not None:
            parse_capacity(self.capacity)


def _checked_sizes(batch_sizes: Any) -> tuple[int | str, ...]:
    is_one = isinstance(batch_sizes, Integral | str)
    if not is_one and not is_several(batch_sizes):
        raise TypeError(f"batch_sizes must be whole numbers or {FULL!r}, not {shown(batch_sizes)}")
    sizes = tuple(_checked_size(size) for size in ([batch_sizes] if is_one else each("batch_sizes", batch_sizes)))
    if not sizes:
        raise ValueError("batch_sizes is empty: give one or more, such as [1, 32, 512]")
    twice = [size for i, size in enumerate(sizes) if size in sizes[:i]]
    if twice:
        raise ValueError(f"batch_sizes has {twice[0]} twice; for another order of the data raise seeds")
    return sizes


def _checked_size(size: Any, name: str = "batch_sizes") -> int | str:
    if isinstance(size, str) and size == FULL:
        return FULL
    if not isinstance(size, Integral) or isinstance(size, bool):
        raise TypeError(f"{name} must be whole numbers or {FULL!r}, not {shown(size)}")
    return whole_number(name, size, kind="whole numbers")


def _checked_lr(lr: Any) -> float | str | dict[int | str, float] | None:
    if lr is None or isinstance(lr, str):
        return choice("lr", lr, (*RATES, None), told=_LR)  # type: ignore[no-any-return]
    if isinstance(lr, Mapping):
        return {_checked_size(size, "the batch sizes of lr"): _checked_rate(given) for size, given in lr.items()}
    return _checked_rate(lr)


def _checked_rate(given: Any) -> float:
    if not isinstance(given, Real) or isinstance(given, bool):
        raise TypeError(f"lr must be {_LR}, not {shown(given)}")
    return rate("lr", given)
