"""The batch prober's settings as fields of its panel, and what stands in the fields as settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...engine import Task
from ...engine.batch_size.settings import BatchSettings
from ...engine.checks import whole_number
from ...engine.memory.cards import read_capacity
from ...engine.memory.parts import OPTIMIZERS
from ...formats import format_memory
from ..panel.card_list import card_field
from ..panel.numbers import number_in

SHRUNK = (("½", 2), ("¼", 4))
STRATEGIES = ("estimate", "halve", "double")
PLANNED = {"image", "tokens", "optimizer", "amp", "checkpointing", "evaluation"}
"""The fields that change what is predicted; the card only judges it, the strategy only tries it."""

EVALUATES = ("k", "layers", "step")
"""Views that may show an evaluation: its field stands in these, and the others are of training."""

Field = dict[str, Any]


def fields_of(task: Task, image_size: int | None, sequence_length: int | None = None) -> list[Field]:
    """The panel's fields for this task.

    Args:
        task: Its device and optimizer name what the first entries stand for.
        image_size: Side of its images in pixels; None where the data are no images.
        sequence_length: Tokens of a sample; None where the data are no tokens.
    """
    # Batch sizes and layers belong to one size of the samples, the grid shows several.
    one: Field = {"kind": "segments", "row": 2, "short": " · {}", "modes": [*EVALUATES]}
    return [
        card_field("this GPU" if task.device.type == "cuda" else "this machine", short="{}"),
        {**_choice("strategy", [[name, name] for name in STRATEGIES], short=", {}"), "modes": ["k"]},
        {"name": "wanted", "label": "k wanted", "kind": "integer", "modes": ["fits"], "short": " · k = {}"},
        *([] if image_size is None else [{**one, "name": "image", "label": "image", "options": _sizes(image_size)}]),
        *([] if sequence_length is None else [
            {**one, "name": "tokens", "label": "tokens", "options": _sizes(sequence_length, "")}
        ]),
        {**_choice("optimizer", _optimizers(task), short=" · {}"), "row": 2},
        _switch("amp", "mixed precision"),
        _switch("checkpointing", "gradient checkpointing"),
        {**_switch("evaluation", "evaluation"), "modes": [*EVALUATES]},
    ]  # fmt: skip


def texts_of(settings: BatchSettings, task: Task) -> dict[str, str]:
    """What stands in the fields for these settings."""
    capacity, amp = settings.capacity, task.amp if settings.amp is None else settings.amp
    return {
        "capacity": format_memory(capacity) if isinstance(capacity, int) else capacity or "",
        "strategy": settings.strategy,
        "wanted": str(settings.target_batch_size or task.batch_size or ""),
        "image": "" if settings.image_size is None else str(settings.image_size),
        "tokens": "" if settings.sequence_length is None else str(settings.sequence_length),
        "optimizer": "" if settings.optimizer in (None, own_optimizer(task)) else settings.optimizer or "",
        "amp": "on" if amp else "",
        "checkpointing": "on" if settings.checkpointing else "",
        "evaluation": "on" if settings.evaluation else "",
    }


def texts_of_changes(changes: dict[str, Any]) -> dict[str, str]:
    """What stands in the fields where a prediction is changed so."""
    texts = {"amp": "on", "checkpointing": "on"}
    fields = {"image_size": "image", "sequence_length": "tokens"}
    named = {fields.get(name, name): str(value) for name, value in changes.items()}
    return {name: texts.get(name, text) for name, text in named.items()}


def settings_from(texts: dict[str, str], before: BatchSettings, task: Task) -> BatchSettings:
    """The settings in the fields. What nobody changed stays as it was given, however the field shows it.

    Raises:
        ValueError: For a card that is neither a size nor a known name.
    """
    shown = texts_of(before, task)
    changes: dict[str, Any] = {}
    for name, text in texts.items():
        if name in shown and text != shown[name]:
            changes |= _changes(name, text, task, texts.get("capacity", ""))
    return replace(before, **changes)


def _changes(name: str, text: str, task: Task, card: str) -> dict[str, Any]:
    if name == "image":
        return {"image_size": number_in(text, "image", int, "a whole number such as 64") if text else None}
    if name == "tokens":
        return {"sequence_length": number_in(text, "tokens", int, "a whole number such as 128") if text else None}
    if name == "evaluation":
        return {"evaluation": bool(text)}
    if name == "wanted":
        return {}  # asked of the prediction, see ``wanted_from``
    if name == "amp":
        return {"amp": (task.amp or _half(task, card)) if text else False}
    if name == "checkpointing":
        return {"checkpointing": True if text else None}
    if name == "capacity" and text:
        read_capacity(text)
    return {name: text or None}


def wanted_from(texts: dict[str, str]) -> int:
    """The batch size that is to fit.

    Raises:
        ValueError: For anything but a whole number ≥ 1.
    """
    return number_in(texts["wanted"], "k wanted", _batch_size, "a whole number ≥ 1 and ≤ 10⁹")


def _batch_size(text: str) -> int:
    return whole_number("k", int(text))  # its words are the field's, see ``number_in``


def own_optimizer(task: Task) -> str:
    """The task's optimizer, by the name it has among ``OPTIMIZERS`` if it is one of them."""
    optimizer = next(iter(task.optimizers.values()))
    has_momentum = any(group.get("momentum") for group in optimizer.param_groups)
    name = type(optimizer).__name__
    return "SGD with momentum" if name == "SGD" and has_momentum else name


def _half(task: Task, card: str) -> Any:
    # Widgets import no torch; a tensor of none of the numbers knows the type as well.
    none = task.parameters[0].detach().flatten()[:0]
    has_bfloat16 = not card or read_capacity(card).architecture.has_bfloat16
    return none.bfloat16().dtype if has_bfloat16 else none.half().dtype


def _sizes(full: int, unit: str = "²") -> list[list[str]]:
    smaller = [(sign, full // divisor) for sign, divisor in SHRUNK]
    return [["", f"×1 · {full}{unit}"], *([str(size), f"{sign} · {size}{unit}"] for sign, size in smaller if size >= 8)]


def _optimizers(task: Task) -> list[list[str]]:
    own = own_optimizer(task)
    return [["", own], *([name, name] for name in OPTIMIZERS if name != own)]


def _choice(name: str, options: list[list[str]], short: str) -> Field:
    return {"name": name, "label": name, "kind": "choice", "options": options, "short": short}


def _switch(name: str, label: str) -> Field:
    return {"name": name, "label": label, "kind": "switch", "row": 2, "short": f" · {label}"}
