"""Several searches for η side by side, each with a curve of its own: what they share, whatever tells them apart."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from ..checks import shown
from ..plain_data import json_ready
from .curve import LRCurve, LRFold
from .events import Ended
from .settings import LRSettings

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralCurves(Generic[K]):
    """What is known after a search that held one race or sweep for each of several.

    Attributes:
        curves: Which → what was found there, in order; only those that have begun.
        settings: What was asked for.
        ended: Which → why it ended before its time, such as "out of memory".
        verdict, reason, limit: In words.
        outcome: "finished", or "stopped" where not every one was searched to its end.
        caveats, data_form, sign: As of ``LRCurve``.
    """

    curves: dict[K, LRCurve]
    settings: LRSettings
    ended: dict[K, str]
    verdict: str
    reason: str
    limit: str
    outcome: str
    caveats: tuple[str, ...] = field(default=(), compare=False)
    data_form: str = field(default="", compare=False)
    sign: int = 1

    @property
    def suggestions(self) -> dict[K, float | None]:
        """Which → η for training at a constant rate, or None."""
        return {key: curve.suggestion for key, curve in self.curves.items()}

    @property
    def updates(self) -> int:
        """Training steps in all."""
        return sum(curve.updates for curve in self.curves.values())

    @property
    def seconds(self) -> float:
        """From the start of the search to its last step."""
        return max((curve.seconds for curve in self.curves.values()), default=0.0)

    def _plain(self, kind: str, keys: str, **more: Any) -> dict[str, Any]:
        return {
            "kind": kind, "schema": 1, "curves": [curve.to_dict() for curve in self.curves.values()],
            **json_ready({
                keys: list(self.curves), "ended": [list(pair) for pair in self.ended.items()], **more,
                "verdict": self.verdict, "reason": self.reason, "limit": self.limit, "outcome": self.outcome,
                "caveats": self.caveats, "data_form": self.data_form, "sign": self.sign,
            }),
        }  # fmt: skip


class SeveralFold(Generic[K]):
    """Events become several curves one by one; see ``LRFold``.

    Args:
        settings: Those of the search.
        sign: As of ``LRCurve``.
    Raises:
        TypeError: For settings that are none.
    """

    def __init__(self, settings: LRSettings, *, sign: int = 1) -> None:
        if not isinstance(settings, LRSettings):
            raise TypeError(f"settings must be an nbtune.LRSettings, not {shown(settings)}")
        self._settings, self._sign = settings, sign
        self._ended = dict[K, str]()
        self._folds: dict[K, LRFold] = {}

    def _which(self, step: Any) -> K:
        """Of an event, whose it is."""
        raise NotImplementedError

    def _samples(self, which: K, step: Any) -> int | None:
        """Samples behind one update there."""
        raise NotImplementedError

    def add(self, step: Any) -> None:
        """Take the next event."""
        which = self._which(step)
        if isinstance(step, Ended):
            self._ended[which] = step.reason
            return
        if which not in self._folds:
            asked = replace(self._settings, batch_sizes=(), optimizers=(), curvature=None)
            self._folds[which] = LRFold(asked, self._samples(which, step), sign=self._sign)
        self._folds[which].add(step)

    def read_for(self, train_steps: int | None) -> None:
        """As of ``LRFold``."""
        self._settings = replace(self._settings, train_steps=train_steps)
        for fold in self._folds.values():
            fold.read_for(train_steps)

    @property
    def taken(self) -> int:
        """Training steps so far."""
        return sum(fold.taken for fold in self._folds.values())
