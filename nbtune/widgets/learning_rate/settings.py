"""The fields of the learning-rate finder, and the settings they stand for."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ...engine import LRSettings, Task
from ...engine.task.loaders import samples_in
from ...formats import format_lr
from ..panel.numbers import number_in

_KINDS = {"integer": (int, "a whole number such as 100"), "number": (float, "a number such as 1e-5")}
"""What stands in a field of each kind, and how an error names it."""

SIZES, OPTIMIZERS = "sizes", "optimizers"
MODES = [["race", "Race"], ["quick", "Quick sweep"], [SIZES, "Batch sizes"], [OPTIMIZERS, "Optimizers"]]

SUGGESTED = {"SGD": ("AdamW",), "AdamW": ("SGD with momentum",)}
"""By the task's own optimizer, what to race beside it where nobody says."""

THEORY_STEPS = 60
"""About what an estimate of the curvature costs, in training steps: a search of fewer is not joined by one unasked."""

FIELDS: list[dict[str, Any]] = [
    {"name": "lr_min", "label": "η from", "kind": "number", "short": "{}"},
    {"name": "lr_max", "label": "to", "kind": "number", "short": " to {}"},
    {
        "name": "train_steps",
        "label": "training steps",
        "kind": "integer",
        "row": 2,
        "short": "",
        "live": True,
        "placeholder": "how many?",
    },
    {"name": "batch_sizes", "label": "k", "kind": "text", "row": 2, "short": ", k = {}", "modes": [SIZES]},
    {
        "name": "rates",
        "label": "rates",
        "kind": "integer",
        "row": 2,
        "short": ", {} rates",
        "modes": ["race", OPTIMIZERS],
    },
    {"name": "steps", "label": "steps", "kind": "integer", "row": 2, "short": ", {} steps", "modes": ["quick"]},
    {"name": "optimizers", "label": "yours and", "kind": "text", "row": 2, "short": ", {}", "modes": [OPTIMIZERS]},
    {"name": "repeats", "label": "data orders", "kind": "integer", "row": 2, "short": ""},
    {"name": "theory", "label": "2/λmax", "kind": "switch", "row": 2, "short": "", "modes": ["race", "quick"]},
    {
        "name": "rules",
        "label": "classic rules",
        "kind": "switch",
        "row": 2,
        "short": "",
        "live": True,
        "modes": ["quick"],
    },
]


def mode_of(settings: LRSettings) -> str:
    """The panel's mode that shows a search with these settings."""
    if settings.optimizers:
        return OPTIMIZERS
    return SIZES if settings.batch_sizes else settings.mode


def texts_of(settings: LRSettings, task: Task) -> dict[str, str]:
    """What stands in the fields."""
    return {
        "lr_min": format_lr(settings.lr_min), "lr_max": format_lr(settings.lr_max), "rates": str(settings.rates),
        "steps": str(settings.steps), "repeats": str(settings.repeats), "train_steps": str(settings.train_steps or ""),
        "batch_sizes": ", ".join(map(str, settings.batch_sizes or _around(task))),
        "optimizers": ", ".join(rival.name for rival in settings.optimizers) or ", ".join(_others(task)),
    }  # fmt: skip


def texts_in(mode: str, settings: LRSettings, task: Task) -> dict[str, str]:
    """The same for the fields of one mode: those of the others keep what was typed."""
    shown = {field["name"] for field in FIELDS if mode in field.get("modes", [mode])}
    return {name: text for name, text in texts_of(settings, task).items() if name in shown}


def has_theory(settings: LRSettings, task: Task) -> bool:
    """Whether the curvature is estimated: if asked for, or where there is one that costs less than the search."""
    if settings.curvature is None and task.update is not None:
        return False
    if settings.curvature is None:
        return settings.mode == "race" or settings.steps >= THEORY_STEPS
    return settings.curvature


def settings_from(texts: dict[str, str], mode: str, before: LRSettings, task: Task) -> LRSettings:
    """The settings in the fields. A text nobody changed keeps its number, of which it shows two digits only.

    Args:
        texts: By field.
        mode: The panel's.
        before: Whose texts were shown; of a search over batch sizes its mode decides between races and sweeps.
        task: What is to be tuned.
    Raises:
        ValueError: For a text that is no number, or a number out of its range.
    """
    shown = texts_of(before, task)
    is_one = mode not in (SIZES, OPTIMIZERS)
    changes: dict[str, Any] = {"batch_sizes": (), "optimizers": (), "curvature": bool(texts["theory"]) and is_one}
    if mode != SIZES:
        changes["mode"] = mode if is_one else "race"
    for field in FIELDS:
        name, kind = field["name"], field["kind"]
        text = texts[name].strip()
        if mode not in field.get("modes", [mode]):
            continue
        if name == "optimizers":
            changes[name] = _optimizers(text, before)
        elif kind == "text":
            changes[name] = _sizes(text)
        elif name == "train_steps":
            changes[name] = train_steps_from(text)
        elif kind != "switch" and text != shown[name]:
            changes[name] = number_in(text, field["label"], *_KINDS[kind])
    return replace(before, **changes)


def train_steps_from(text: str) -> int | None:
    """How long the training will be, as typed; None for an empty field.

    Raises:
        ValueError: For a text that is no whole number from 1 up.
    """
    if not text.strip():
        return None
    steps = number_in(text.replace(",", "").strip(), "training steps", int, "a whole number such as 3000, or empty")
    return LRSettings(train_steps=steps).train_steps


def _around(task: Task) -> list[int]:
    """A quarter of the task's own batch size, that, and four times it, as far as there are samples."""
    own, samples = task.batch_size or 32, samples_in(task.loader)
    return sorted({max(1, own // 4), own, 4 * own if samples is None else max(own, min(4 * own, samples))})


def _others(task: Task) -> tuple[str, ...]:
    """What to race beside the task's own optimizer where nobody says."""
    own = type(next(iter(task.optimizers.values()))).__name__
    return SUGGESTED.get(own, ("AdamW", "SGD with momentum"))


def _optimizers(text: str, before: LRSettings) -> dict[str, Any]:
    """The optimizers named in a text: those that the finder was made with by their names there, others by PyTorch's."""
    known: dict[str, Any] = {rival.name: rival for rival in before.optimizers}
    # First as they are known: a name such as SGD(momentum=0.9, nesterov=True) has commas too.
    own = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    names = [name for name in re.findall(rf"\s*({own}|[^,]*?)\s*(?:,|$)", text) if name]
    if not names:
        raise ValueError("“yours and” must name an optimizer, such as AdamW, SGD with momentum")
    return {name: known.get(name, name) for name in names}


def _sizes(text: str) -> tuple[int, ...]:
    parts = [part for part in re.split(r"[\s,;]+", text) if part]
    if not parts or not all(part.isdigit() for part in parts):
        raise ValueError(f"“k” must be whole numbers such as 16, 64, 256, not “{text}”")
    return tuple(map(int, parts))
