"""The comparison's settings as fields of its panel, and what stands in the fields as settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...engine import Task
from ...engine.comparison.budget import DEFAULT_EPOCHS, Budget
from ...engine.comparison.run import ComparisonRun
from ...engine.comparison.settings import FULL, ComparisonSettings
from ...engine.memory.cards import parse_capacity
from ...formats import format_lr, format_memory
from ..panel.card_list import card_field
from ..panel.numbers import number_in

AXES = ("samples", "updates", "seconds")
SHOWN = {"axis", "held_out"}
"""The fields that are about what is shown, not about what is run."""

FIXED, GIVEN = "fixed", "given"

Field = dict[str, Any]


def fields_of(task: Task, settings: ComparisonSettings) -> list[Field]:
    """The panel's fields for this task.

    Args:
        task: Its optimizer names the fixed η.
        settings: As given in code: what they bring (held-out data, η by k) has a field of its own.
    """
    switch = {"name": "held_out", "label": "held-out", "kind": "switch", "live": True, "short": ""}
    axis = {"name": "axis", "label": "x axis", "kind": "segments", "live": True, "short": ""}
    return [
        {**axis, "options": [[name, name] for name in AXES]},
        *([] if settings.validation is None else [switch]),
        {"name": "batch_sizes", "label": "k", "kind": "text", "row": 2, "short": "k = {}"},
        {
            "name": "lr", "label": "η", "kind": "choice", "row": 2, "short": " · η {}",
            "options": _rates(task, settings), "other": "other …", "example": "0.05",
        },
        {"name": "budget", "label": "budget", "kind": "text", "row": 2, "short": " · {}"},
        {"name": "seeds", "label": "seeds", "kind": "integer", "row": 2, "short": " · seeds: {}"},
        card_field("no card", row=2, short=" · {}"),
    ]  # fmt: skip


def texts_of(settings: ComparisonSettings, run: ComparisonRun) -> dict[str, str]:
    """What stands in the fields of the settings.

    Args:
        settings: To be shown.
        run: Made from them: it knows what a default is for these data.
    """
    capacity = settings.capacity
    return {
        "batch_sizes": ", ".join(map(str, settings.batch_sizes or _named(run))),
        "lr": _rate_text(settings.lr),
        "budget": _budget_text(settings.budget, run),
        "seeds": str(settings.seeds),
        "capacity": format_memory(capacity) if isinstance(capacity, int) else capacity or "",
    }


def settings_from(
    texts: Mapping[str, str], before: ComparisonSettings, shown: Mapping[str, str], given: ComparisonSettings
) -> ComparisonSettings:
    """The settings in the fields. What nobody changed stays as it was, however the field shows it.

    Args:
        texts: What stands in the fields.
        before: What they showed.
        shown: How they showed it.
        given: As given in code, where η by k is to be found again.
    Raises:
        ValueError: For what is no such setting, in the field's own words.
    """
    changed = {name: texts[name].strip() for name in shown if texts[name].strip() != shown[name]}
    values = {name: _value(name, text, given) for name, text in changed.items()}
    return replace(before, **values)


def _value(name: str, text: str, given: ComparisonSettings) -> Any:
    if name == "batch_sizes":
        return tuple(map(_size, re.split(r"[,;\s]+", text.strip(" ,;")))) if text else None
    if name == "lr":
        return given.lr if text == GIVEN else _rate(text)
    if name == "seeds":
        return number_in(text, "seeds", int, "a whole number such as 3")
    if name == "capacity" and text:
        parse_capacity(text)
    return text or None


def _size(text: str) -> int | str:
    if text.casefold() == FULL:
        return FULL
    return int(number_in(text, "k", int, "whole numbers and “full”, such as 1, 8, 64, full"))


def _rate(text: str) -> float | str:
    if not text or text.casefold() in (FIXED, "scaled", "found"):
        return text.casefold() or FIXED
    return float(number_in(text, "η", float, "a number such as 0.05"))


def _named(run: ComparisonRun) -> tuple[int | str, ...]:
    return tuple(FULL if k == run.dataset_size else k for k in run.batch_sizes)


def _rate_text(lr: Any) -> str:
    if isinstance(lr, Mapping):
        return GIVEN
    return lr if isinstance(lr, str) else FIXED if lr is None else format_lr(lr)


def _budget_text(budget: str | int | None, run: ComparisonRun) -> str:
    if budget is not None:
        return budget if isinstance(budget, str) else Budget.parse(budget).text
    is_whole = run.dataset_size is not None and run.budget.amount == DEFAULT_EPOCHS * run.dataset_size
    return f"{DEFAULT_EPOCHS} epochs" if is_whole else run.budget.text


def _rates(task: Task, settings: ComparisonSettings) -> list[list[str]]:
    own = [[FIXED, f"fixed: {format_lr(task.lr)}"], ["scaled", "scaled with k"], ["found", "found for each k"]]
    return [*own, *([[GIVEN, "given for each k"]] if isinstance(settings.lr, Mapping) else [])]
