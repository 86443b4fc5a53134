"""Values that people and programs give by mistake, made by a seed, and what an argument may rightly be."""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import nn

Rule = Callable[[Any], bool | None]
"""Whether an argument must be accepted (True) or refused (False); None where either is right."""


class Unspeakable:
    """Has no text, no truth and no equal."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equal")

    __hash__ = None  # type: ignore[assignment]


def _itself() -> list[Any]:
    value: list[Any] = [1]
    value.append(value)
    return value


def _in_itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["lr"] = value
    return value


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(3000):
        value = [value]
    return value


KINDS: list[Callable[[random.Random], Any]] = [
    lambda chances: None,
    lambda chances: chances.random() < 0.5,
    lambda chances: chances.choice(
        ["", " ", "abc", "8 GB", "nan", "-1", "1e400", "lr", "κ = 3", "cpu", "race", "x" * 10_000]
    ),
    lambda chances: chances.choice([b"", b"8 GB", bytearray(b"12"), memoryview(b"12")]),
    lambda chances: chances.choice([math.nan, math.inf, -math.inf, -0.0, 0.0, 1e-320, 1e308, -1e308, 0.5, 1.5, 1e30]),
    lambda chances: chances.choice([-1, 0, 1, 2, 3, 10**9 + 1, 10**30, -(10**30), 10**400, -(10**400), 10**5000]),
    lambda chances: chances.randint(-100, 10_000),
    lambda chances: 10.0 ** chances.uniform(-12, 12) * chances.choice([1, -1]),
    lambda chances: chances.choice([[], (), {}, set(), frozenset(), [[]], [None], (None, None), deque()]),
    lambda chances: list(range(100_000)),
    lambda chances: [chances.choice([1, 2.5, "3", None, True, math.nan, [4]]) for _ in range(chances.randint(1, 4))],
    lambda chances: {chances.choice([1, "a", None, 2.5]): chances.choice([1, "b", None, math.inf, -1.0])},
    lambda chances: [[[chances.random()], []], {}],
    lambda chances: chances.choice([
        torch.tensor(3), torch.tensor(0.5), torch.tensor([1.0, 2.0]), torch.tensor([1, 2]), torch.zeros(0),
        torch.zeros(2, 3, 4), torch.tensor(True), torch.tensor(math.nan), torch.zeros(2, dtype=torch.complex64),
        torch.zeros(3, device="meta"), torch.eye(3).to_sparse(), torch.zeros(4, dtype=torch.float16),
    ]),
    lambda chances: chances.choice([
        np.int64(3), np.int8(-1), np.float32(0.1), np.float64(math.nan), np.bool_(True), np.array(3), np.array([1, 2]),
        np.zeros(0), np.array(["a", "b"]), np.str_("race"), np.datetime64("2026-11-28"), np.array([None, 1]),
    ]),
    lambda chances: chances.choice([Decimal("0.1"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal(3)]),
    lambda chances: chances.choice([Fraction(1, 3), Fraction(4), Fraction(-1, 7), Fraction(10**400), Fraction(0)]),
    lambda chances: chances.choice([1j, complex("nan"), Ellipsis, NotImplemented]),
    lambda chances: chances.choice([int, float, str, list, nn.Linear, torch.optim.SGD, nn.MSELoss, Exception, object]),
    lambda chances: chances.choice([object(), lambda *a: None, len, nn.Linear(2, 2), Unspeakable(), torch, slice(3)]),
    lambda chances: chances.choice([iter([]), (i for i in range(3)), itertools.count(1), range(0), range(10**12)]),
    lambda chances: chances.choice([_itself, _in_itself, _deep])(),
    lambda chances: chances.choice([torch.float32, torch.float64, torch.int8, torch.bfloat16, torch.device("cpu")]),
    lambda chances: chances.choice([open, print, dict, {}.keys(), {1: 2}.items(), ValueError("x"), Warning]),
]  # fmt: skip


def wrong_value(chances: random.Random) -> Any:
    """One of any kind, now and then inside a container."""
    value = chances.choice(KINDS)(chances)
    if chances.random() < 0.1:
        value = chances.choice([lambda v: [v], lambda v: (v, v), lambda v: {"a": v}, lambda v: iter([v])])(value)
    return value


def told(value: Any) -> str:
    """A value in a few words, whatever it is."""
    try:
        text = repr(value)
    except Exception:
        text = ""
    return f"{type(value).__name__} {text[:60]}"


def is_real(value: Any) -> bool:
    """Whether it is a finite number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def whole(least: int = 1, most: int = 10**9, *, none: bool = False) -> Rule:
    """A whole number within limits."""
    return lambda v: none if v is None else _is_whole(v) and least <= int(v) <= most


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def real(*, above: float = -math.inf, least: float = -math.inf, none: bool = False) -> Rule:
    """A finite number within limits."""
    return lambda v: none if v is None else is_real(v) and float(v) > above and float(v) >= least


def limit_of_time(value: Any) -> bool:
    """None, or seconds above 0, possibly without end."""
    if value is None:
        return True
    return (
        not isinstance(value, bool) and isinstance(value, Real) and (is_real(value) or value == math.inf) and value > 0
    )


def among(*options: Any) -> Rule:
    """One of these very objects, or an equal text."""
    texts = [option for option in options if isinstance(option, str)]
    return lambda v: any(v is option for option in options) or (isinstance(v, str) and v in texts)


def whole_numbers(value: Any) -> bool | None:
    """Some whole numbers; from an iterator they may be gone by now, so either is right."""
    if isinstance(value, str | bytes | bytearray | torch.Tensor | type) or not isinstance(value, Iterable):
        return False
    if isinstance(value, np.ndarray) and value.ndim != 1:
        return False
    if not hasattr(value, "__len__") or len(value) > 1000 or isinstance(value, memoryview | Mapping):
        return None
    return all(whole()(item) for item in value)


def anything(value: Any) -> None:
    """Either is right: what the argument means is seen only later, or it is told in another form."""


def nothing(value: Any) -> bool:
    """No value of the pool is one."""
    return False
