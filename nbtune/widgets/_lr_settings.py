"""The fields of the learning-rate finder, and the settings they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..engine import LRSettings
from ..formats import format_lr

MODES = [["race", "Race"], ["quick", "Quick sweep"]]

FIELDS: list[dict[str, Any]] = [
    {"name": "lr_min", "label": "η from", "kind": "number", "short": "{}"},
    {"name": "lr_max", "label": "to", "kind": "number", "short": " to {}"},
    {"name": "rates", "label": "rates", "kind": "integer", "short": ", {} rates", "modes": ["race"]},
    {"name": "steps", "label": "steps", "kind": "integer", "short": ", {} steps", "modes": ["quick"]},
    {"name": "rules", "label": "classic rules", "kind": "switch", "short": "", "live": True, "modes": ["quick"]},
]


def texts_of(settings: LRSettings) -> dict[str, str]:
    """What stands in the fields."""
    return {
        "lr_min": format_lr(settings.lr_min), "lr_max": format_lr(settings.lr_max), "rates": str(settings.rates),
        "steps": str(settings.steps),
    }  # fmt: skip


def settings_from(texts: dict[str, str], mode: str, before: LRSettings) -> LRSettings:
    """The settings in the fields. A text nobody changed keeps its number, of which it shows two digits only.

    Raises:
        ValueError: For a text that is no number, or a number out of its range.
    """
    shown = texts_of(before)
    changes: dict[str, Any] = {"mode": mode}
    for field in FIELDS:
        name = field["name"]
        if field["kind"] != "switch" and mode in field.get("modes", [mode]) and texts[name].strip() != shown[name]:
            changes[name] = _number(texts[name].strip(), field["label"], int if field["kind"] == "integer" else float)
    return replace(before, **changes)


def _number(text: str, label: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        example = "a whole number such as 100" if kind is int else "a number such as 1e-5"
        raise ValueError(f"“{label}” must be {example}, not “{text}”") from None
