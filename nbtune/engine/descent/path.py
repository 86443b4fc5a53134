"""What is known of a descent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..checks import events, instance, whole_number
from ..plain_data import json_ready
from . import rules
from .events import DescentStep
from .rules import Outcome
from .settings import DescentSettings
from .walk import descend


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentPath:
    """What is known of a descent, a pure fold of its events (see ``from_steps``).

    Attributes:
        settings: Those it was made with.
        steps: The start and every step taken.
        outcome: "arrives" (from some step on, the loss is within 1 % of the way down of a minimum), "jumps over" (the
            same, in another minimum than the nearest), "flies off", "bounces" (from side to side, and has not
            arrived), "wanders" (the noise keeps it from arriving) or "creeps".
        arrives_at: The step from which on it is there; None where it does not arrive.
        leaves_at: The first step outside the picture; None where all are inside.
        lr_limit: 2/λmax at the minimum nearest to the start.
        verdict, reason, limit: The answer, its evidence and its limit in words.
    """

    settings: DescentSettings
    steps: tuple[DescentStep, ...]
    outcome: Outcome
    arrives_at: int | None
    leaves_at: int | None
    lr_limit: float
    verdict: str
    reason: str
    limit: str

    @classmethod
    def from_steps(cls, steps: Iterable[DescentStep], *, settings: DescentSettings | None = None) -> DescentPath:
        """The result of any number of events, so that a stopped descent is a valid, shorter one.

        Raises:
            TypeError: For anything else.
        """
        settings = instance("settings", settings, DescentSettings) or DescentSettings()
        steps = tuple(events("steps", steps, (DescentStep,)))
        answer = rules.answer(steps, settings)
        return cls(
            settings=settings, steps=steps, outcome=answer.outcome, arrives_at=answer.arrives_at,
            leaves_at=answer.leaves_at, lr_limit=settings.limit, verdict=answer.verdict, reason=answer.reason,
            limit=answer.limit,
        )  # fmt: skip

    @classmethod
    def of(cls, settings: DescentSettings | None = None) -> DescentPath:
        """The whole descent.

        Examples:
            >>> DescentPath.of(DescentSettings(surface="bowl", lr=1.0)).arrives_at
            1
        """
        return cls.from_steps(descend(settings), settings=settings)

    @property
    def rate_text(self) -> str:
        """η in as many digits as tell it from the limit."""
        return rules.format_rate(self.settings)

    def until(self, index: int) -> DescentPath:
        """Its first ``index`` steps, 0 for the start alone.

        Raises:
            ValueError: For no whole number from 0 up.
        """
        index = whole_number("index", index, least=0)
        return DescentPath.from_steps(self.steps[: index + 1], settings=self.settings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema``, the settings, the answer and the steps as rows."""
        settings = {name: getattr(self.settings, name) for name in ("surface", "lr", "batch_size", "steps", "seed")}
        names = ("outcome", "arrives_at", "leaves_at", "lr_limit", "verdict", "reason", "limit")
        rows = [[step.index, step.w1, step.w2, step.loss] for step in self.steps]
        plain = {"kind": "descent_path", "schema": 1, "settings": settings, "steps": rows}
        return json_ready({**plain, **{name: getattr(self, name) for name in names}})  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        taken = max(0, len(self.steps) - 1)
        return (
            f"DescentPath({self.settings.surface}, k = {self.settings.batch_size}, {taken} steps, {self.outcome})\n"
            f"  {self.verdict}: {self.reason}"
        )
