"""What the steps of a sweep say, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ....formats import format_lr
from ...direction import Direction
from ..reading import Outcome, Reading
from ..settings import LRSettings
from . import rules


def reading_of(steps: Sequence[Any], settings: LRSettings, way: Direction) -> Reading:
    """What is known of a sweep as it stands.

    Args:
        steps: Its ``LRStep`` so far, possibly none.
        settings: Its own.
        way: Which is better, in words.
    """
    outcome: Outcome = "finished" if len(steps) >= settings.steps else "stopped"
    if steps and steps[-1].diverged:
        outcome = "diverged"
    losses = [s.loss if s.validation_loss is None else s.validation_loss for s in steps]
    lrs = [s.lr for s in steps]
    reading = rules.read(lrs, losses, settings.lr_min, settings.lr_max, outcome=outcome, way=way)
    if not steps or not steps[-1].error:
        return reading
    said = f"At η = {format_lr(steps[-1].lr)}: {steps[-1].error.rstrip('.')}."
    return replace(reading, answer=replace(reading.answer, limit=f"{reading.answer.limit} {said}".strip()))


def settings_of(steps: Sequence[Any]) -> LRSettings:
    """What was asked for, where nobody says so: the steps are taken for a whole sweep."""
    if len(steps) < 10:
        return LRSettings(mode="quick")
    return LRSettings(mode="quick", lr_min=steps[0].lr, lr_max=steps[-1].lr, steps=len(steps))
