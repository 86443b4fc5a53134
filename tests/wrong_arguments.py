"""Every public callable of nbtune with what its arguments may be, and a judge of what wrong ones lead to."""

from __future__ import annotations

import ast
import functools
import json
import linecache
import math
import random
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from driver import PATIENCE_SECONDS, session_of
from tasks import adversaries, blobs, everything, plain_task
from torch import nn
from wrong_values import (
    Rule,
    among,
    anything,
    limit_of_time,
    nothing,
    real,
    told,
    whole,
    whole_numbers,
    wrong_value,
)  # fmt: skip

import nbtune as nt
from nbtune.engine.memory.parts import OPTIMIZERS

PACKAGE = str(Path(nt.__file__).parent)
OPTIMIZER_NAMES = tuple(OPTIMIZERS)
OF_PYTHON = re.compile(
    r"unexpected keyword argument|required (positional|keyword-only) argument|positional arguments? but"
)
"""What Python itself says of a call that names no argument, or too few or many: it names the argument too."""

MOST_TEXT = 1000
"""Characters that an error's text may have: a list of a million numbers is not repeated to the reader."""

Seen = dict[str, str | None]
"""Argument → what the call said of it."""


@dataclass(frozen=True)
class Argument:
    """One argument of one callable.

    Attributes:
        name: What an error must call it, as a pattern.
        call: The call with a value for it and right ones for all others.
        rule: What it may be.
        is_trait: Whether it is assigned to a trait that the browser reads: traitlets and ipywidgets then refuse it in
            their own words.
    """

    name: str
    call: Callable[[Any], Any]
    rule: Rule = nothing
    is_trait: bool = False


@dataclass
class Verdict:
    """What came of one call.

    Attributes:
        kind: "refused" (clearly), "accepted" (and meaningful), or "wrong".
        why: Of a wrong one.
    """

    kind: str
    why: str = ""


@dataclass
class Callables:
    """Public callables, each with its arguments, and the task that they are tried on.

    Args:
        parts: Which, of ``PARTS``.
    Attributes:
        task: Left as it was by all of them.
        by_name: Callable → arguments.
    """

    parts: tuple[str, ...]
    task: nt.Task = field(default_factory=plain_task)
    by_name: dict[str, list[Argument]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.parts:
            self.by_name |= PARTS[part](self.task)


CALLED = {"batch_sizes": "batch_sizes|k = ", "validation": "validation|data|loss_fn needs", "data": "data|samples"}
"""What an error may call an argument, where it is not by its name alone."""


def _by_keyword(make: Callable[..., Any], rules: dict[str, Rule], **right: Any) -> list[Argument]:
    arguments = [
        Argument(CALLED.get(name, name), lambda value, name=name: make(**{**right, name: value}), rule)
        for name, rule in rules.items()
    ]
    return [*arguments, Argument("lr_mox", lambda value: make(**right, lr_mox=value), nothing)]


LR_RULES: dict[str, Rule] = {
    "mode": among("race", "quick"), "lr_min": lambda v: real(least=1e-30)(v) and float(v) < 10.0,
    "lr_max": lambda v: real(above=1e-5)(v) and float(v) <= 1e30, "rates": whole(4, 1000), "steps": whole(10, 10**6),
    "updates_per_step": whole(1, 10**6, none=True), "train_steps": whole(none=True),
    "optimizer": lambda v: v is None or (isinstance(v, str) and None),
    "max_seconds": limit_of_time, "validation": anything, "validation_batches": whole(1, 10**6),
    "repeats": whole(1, 1000), "batch_sizes": whole_numbers, "curvature": among(None, True, False),
}  # fmt: skip


def _is_capacity(value: Any) -> bool | None:
    if value is None or value == "8 GB" if isinstance(value, str | None) else False:
        return True
    return False if isinstance(value, str) else whole(2**20, 2**63)(value)


def _is_budget(value: Any) -> bool:
    if isinstance(value, str):
        return (value.strip().isdigit() and int(value) > 0) or None if value != "8 GB" else False
    return whole(none=True)(value) or value is None


BATCH_RULES: dict[str, Rule] = {
    "capacity": _is_capacity, "strategy": among("estimate", "halve", "double"), "max_batch_size": whole(),
    "image_size": whole(none=True), "optimizer": among(None, *OPTIMIZER_NAMES),
    "amp": among(None, False, torch.bfloat16, torch.float16), "checkpointing": among(None, True, False),
    "measure_seconds": real(least=0), "target_batch_size": whole(none=True),
}  # fmt: skip


def _sizes(value: Any) -> bool | None:
    """One k, "full", or some of them."""
    if value is None or whole()(value):
        return True
    if isinstance(value, str):
        return value == "full"
    if isinstance(value, list | tuple) and value and len(value) < 1000:
        hashable = (
            [repr(item) if not isinstance(item, int | str) else item for item in value] if _is_sane(value) else []
        )
        return all(whole()(item) for item in value) and len(set(hashable)) == len(value)
    return None if hasattr(value, "__iter__") and not isinstance(value, bytes | bytearray | torch.Tensor) else False


def _is_sane(value: Any) -> bool:
    try:
        repr(value)
    except Exception:
        return False
    return True


def _rate(value: Any) -> bool | None:
    if isinstance(value, dict):
        return None
    return (
        value is None or among("fixed", "scaled", "found")(value) or (real(least=1e-30)(value) and float(value) <= 1e30)
    )


COMPARISON_RULES: dict[str, Rule] = {
    "batch_sizes": _sizes, "seeds": whole(1, 1000), "budget": _is_budget, "lr": _rate,
    "target_loss": real(none=True), "validation": anything, "capacity": _is_capacity,
}  # fmt: skip
DESCENT_RULES: dict[str, Rule] = {
    "surface": among("bowl", "narrow valley", "two minima"), "lr": real(above=0, none=True),
    "batch_size": lambda v: whole(1, 64)(v) and 64 % int(v) == 0, "steps": whole(1, 1000), "seed": whole(0),
}  # fmt: skip


def _settings(task: nt.Task) -> dict[str, list[Argument]]:
    lr, descent = nt.LRSettings(), nt.DescentSettings()
    return {
        "LRSettings": _by_keyword(nt.LRSettings, LR_RULES),
        "LRSettings.check": [Argument("Task", lr.check)],
        "LRSettings.updates_behind_loss": [
            Argument("samples_per_update", lr.updates_behind_loss, whole(none=True))
        ],
        "BatchSettings": _by_keyword(nt.BatchSettings, BATCH_RULES),
        "ComparisonSettings": _by_keyword(nt.ComparisonSettings, COMPARISON_RULES),
        "DescentSettings": _by_keyword(nt.DescentSettings, DESCENT_RULES),
        "DescentSettings.at_share": [Argument("share", descent.at_share, lambda v: real(above=0)(v) and None)],
    }  # fmt: skip


def _is_function(value: Any) -> bool | None:
    return value is None or ((callable(value) and not isinstance(value, type)) and None)


def _tasks(task: nt.Task) -> dict[str, list[Argument]]:
    model, optimizer, data = task.model, task.optimizer, blobs()
    loss = nn.functional.cross_entropy
    rules: dict[str, Rule] = {
        "model": nothing, "optimizer": nothing, "loss_fn": _is_function, "data": lambda v: v is not None and None,
        "training_step": lambda v: v is None, "update": lambda v: v is None, "device": _is_device,
        "amp": among(None, torch.bfloat16), "accumulate": whole(1, 10**6), "collate_fn": lambda v: v is None,
        "longest": anything, "preserve": _is_preserved,
    }  # fmt: skip
    several = adversaries()
    return {
        "Task": _by_keyword(nt.Task, rules, model=model, optimizer=optimizer, loss_fn=loss, data=data),
        "Task of samples": _by_keyword(
            nt.Task, {"collate_fn": _is_function},
            model=model, optimizer=optimizer, loss_fn=loss, data=[(x, y) for x, y in zip(*data, strict=True)],
        ),
        "Task.with_": _by_keyword(task.with_, {"batch_size": whole(none=True), **rules}),
        "Task.set_lr": [
            Argument("lr", lambda value: _put_back(task, lambda: task.set_lr(value)), _is_rate_to_set),
            Argument("optimizer", lambda value: task.set_lr(task.lr, optimizer=value), lambda v: v is None),
            Argument(
                "optimizer", lambda value: several.set_lr(several.lr, optimizer=value), lambda v: v is None
            ),
        ],
        "Task.loader_of": [Argument(CALLED["data"], task.loader_of, anything)],
    }  # fmt: skip


def _is_device(value: Any) -> bool | None:
    return (
        value is None or (isinstance(value, torch.device) and value.type == "cpu") or value == "cpu"
        if isinstance(value, torch.device | str | None)
        else False
    )


def _is_preserved(value: Any) -> bool | None:
    if isinstance(value, list | tuple | set | frozenset):
        return None if value else True
    return isinstance(value, nn.Module | torch.optim.Optimizer)


def _is_rate_to_set(value: Any) -> bool | None:
    return None if isinstance(value, torch.Tensor) else real(above=0)(value)


def _put_back(task: nt.Task, call: Callable[[], Any]) -> None:
    before = task.lr
    try:
        call()
    finally:
        task.optimizer.param_groups[0]["lr"] = before


QUICK: dict[str, Any] = {"mode": "quick", "steps": 10, "max_seconds": 0.05}
"""Of a search whose other arguments are tried."""


def _tools(task: nt.Task) -> dict[str, list[Argument]]:
    def find(**changes: Any) -> Any:
        return nt.find_lr(**{"task": task, "progress": False, **QUICK, **changes})

    def limit(**changes: Any) -> Any:
        quick = {"task": task, "progress": False, "measure_seconds": 0, "max_batch_size": 4}
        return nt.find_batch_size(**{**quick, **changes})

    def duel(**changes: Any) -> Any:
        quick = {"task": task, "progress": False, "batch_sizes": [16], "budget": "16 samples"}
        return nt.compare_batch_sizes(**{**quick, **changes})

    def memory(**changes: Any) -> Any:
        return nt.estimate_memory(**{"task": task, "capacity": "8 GB", **changes})

    def fits(**changes: Any) -> Any:
        return nt.what_fits(**{"task": task, "capacity": "8 TB", "progress": False, **changes})

    def largest(**changes: Any) -> Any:
        return nt.largest_image_size(**{"task": task, "capacity": "8 GB", **changes})

    def curvature(**changes: Any) -> Any:
        return nt.estimate_curvature(**{"task": task, "products": 1, **changes})

    flag = among(True, False)
    settings: Rule = lambda v: v is None  # noqa: E731
    short = {"rates": nothing, "lr_min": nothing} | {n: LR_RULES[n] for n in ("mode", "updates_per_step", "curvature")}
    short["updates_per_step"] = lambda v: whole(1, 10**6, none=True)(v) and None
    return {
        "find_lr": _by_keyword(find, {
            "task": nothing, "settings": settings, "max_seconds": limit_of_time, "progress": flag,
            "mode": LR_RULES["mode"], "lr_min": LR_RULES["lr_min"], "lr_max": LR_RULES["lr_max"],
            "optimizer": lambda v: v is None, "curvature": LR_RULES["curvature"],
            "batch_sizes": lambda v: None if hasattr(v, "__iter__") else False,
            "validation": lambda v: v is None or None,
        }),
        "find_batch_size": _by_keyword(limit, {
            "task": nothing, "settings": settings, "progress": flag, **BATCH_RULES,
            "image_size": lambda v: v is None or None, "max_batch_size": whole(),
            "measure_seconds": lambda v: real(least=0)(v) and None,
        }),
        "compare_batch_sizes": _by_keyword(duel, {
            "task": nothing, "settings": settings, "progress": flag, "batch_sizes": lambda v: _sizes(v) and None,
            "seeds": nothing, "lr": _rate, "target_loss": real(none=True),
            "validation": lambda v: v is None or None, "capacity": _is_capacity,
        } | {"seeds": lambda v: whole(1, 1000)(v) and None}),
        "estimate_memory": _by_keyword(memory, {
            "task": nothing, "capacity": _is_capacity, "image_size": lambda v: v is None or (whole()(v) and None),
            "amp": BATCH_RULES["amp"], "checkpointing": BATCH_RULES["checkpointing"],
            "optimizer": BATCH_RULES["optimizer"], "device": _is_device, "samples": lambda v: v is None,
            "devices": whole(1, 2**16, none=True), "sharding": among("none", None),
        }),
        "what_fits": _by_keyword(fits, {
            "task": nothing, "capacity": _is_capacity, "batch_size": whole(none=True), "progress": flag,
        }),
        "largest_image_size": _by_keyword(largest, {"task": nothing}),
        "estimate_curvature": _by_keyword(curvature, {
            "task": nothing, "products": whole(1, 1000), "batches": lambda v: whole(1, 1000)(v) and None,
            "seed": lambda v: whole(0)(v) and None, "max_seconds": real(least=0, none=True),
        }),
        "plot": [Argument("plot", nt.plot)],
    }  # fmt: skip


def _estimates(task: nt.Task) -> dict[str, list[Argument]]:
    estimate = nt.estimate_memory(task, "8 GB")
    asked = ("peak_bytes", "fits", "needed_bytes", "headroom_bytes", "parts", "breakdown", "layers", "modules")
    return {
        **{
            f"MemoryEstimate.{name}": [Argument("batch size", getattr(estimate, name), whole())]
            for name in (*asked, "evaluation_peak_bytes", "fits_with_retries", "timeline")
        },
        "MemoryEstimate.largest_batch_size": [
            Argument("power_of_two", lambda v: estimate.largest_batch_size(power_of_two=v), among(True, False))
        ],
        "MemoryEstimate.changed": _by_keyword(
            estimate.changed, {
                "image_size": lambda v: v is None or None, "foreach": among(True, False, None),
                "amp": BATCH_RULES["amp"],
                "checkpointing": BATCH_RULES["checkpointing"], "optimizer": BATCH_RULES["optimizer"],
            }
        ),
        "MemoryEstimate.with_capacity": [Argument("capacity", estimate.with_capacity, _is_capacity)],
    }  # fmt: skip


def _results(task: nt.Task) -> dict[str, list[Argument]]:
    curve = nt.find_lr(task, progress=False, mode="quick", steps=60)
    by_size = nt.find_lr(task, progress=False, batch_sizes=[8, 32], mode="quick", steps=40)
    limit = nt.find_batch_size(task, capacity="8 GB", max_batch_size=4, measure_seconds=0, progress=False)
    duel = nt.compare_batch_sizes(task, [16, 48], budget="2 epochs", progress=False)
    path = nt.DescentPath.of()

    def fold(make: Any, events: Any, rules: dict[str, Rule], kind: str, **right: Any) -> list[Argument]:
        name = "trials" if make == nt.BatchLimit.from_trials else "steps"
        return _by_keyword(make, {name: _is_empty, **rules}, **{name: events, **right})

    none: Rule = lambda v: v is None  # noqa: E731
    count: Rule = whole(0, 10**18, none=True)
    outcome = among("finished", "stopped")
    return {
        "LRCurve.from_steps": fold(
            nt.LRCurve.from_steps, curve.steps, {"settings": none, "batch_size": whole(none=True)}, "LRStep"
        ),
        "LRByBatchSize.from_steps": fold(
            nt.LRByBatchSize.from_steps, (), {"settings": nothing}, "LRStep", settings=by_size.settings
        ),
        "BatchLimit.from_trials": fold(
            nt.BatchLimit.from_trials, limit.trials,
            {"settings": none, "capacity_bytes": count, "outcome": outcome, "capacity_name": _is_text,
             "caveats": lambda v: None}, "MemoryTrial",
        ),
        "Comparison.from_steps": fold(
            nt.Comparison.from_steps, (), {"settings": none, "dataset_size": whole(none=True)}, "LossStep"
        ),
        "DescentPath.from_steps": fold(nt.DescentPath.from_steps, path.steps, {"settings": none}, "DescentStep"),
        "DescentPath.of": _by_keyword(nt.DescentPath.of, {"settings": none}),
        "DescentPath.until": [Argument("index", path.until, whole(0))],
        **{
            f"{type(result).__name__}.apply": [Argument("Task", result.apply)]
            for result in (curve, by_size, limit, duel)
        },
        "LRStep": _by_keyword(nt.LRStep, {"index": COUNT, "lr": real(least=0), "loss": _is_loss,
            "smoothed_loss": _is_loss, "seconds": real(least=0), "validation_loss": _is_loss_or_none,
            "diverged": among(True, False), "batch_size": whole(none=True), "repeat": COUNT, "error": _is_text},
            index=0, lr=0.1, loss=1.0, smoothed_loss=1.0, seconds=0.0),
        "RaceStep": _by_keyword(nt.RaceStep, {"lr": real(least=0), "step": COUNT, "loss": _is_loss,
            "seconds": real(least=0), "is_replayed": among(True, False), "batch_size": whole(none=True),
            "repeat": COUNT, "error": _is_text}, lr=0.1, step=1, loss=1.0, seconds=0.0),
        "LRCurve.for_steps": [Argument("train_steps", curve.for_steps, whole(none=True))],
        "LRByBatchSize.for_steps": [Argument("train_steps", by_size.for_steps, whole(none=True))],
        "LRCurve.schedule": _by_keyword(
            curve.schedule, {"steps": whole(), "kind": among("constant", "decay", "one-cycle")}, steps=10
        ),
        "Schedule": _by_keyword(
            nt.Schedule, {"kind": among("constant", "decay", "one-cycle"), "steps": whole(),
                          "peak": lambda v: v is not None and real(least=1e-30)(v) and float(v) <= 1e30},
            kind="decay", steps=10, peak=0.1,
        ),
        "Schedule.scheduler": [Argument("optimizer", curve.schedule(10).scheduler)],
        "LossStep": _by_keyword(nt.LossStep, {"run": nothing, "samples_seen": COUNT, "updates": COUNT,
            "loss": _is_loss, "seconds": real(least=0), "point": COUNT, "held_out_loss": _is_loss_or_none,
            "ended": _is_text},
            run=duel.curves[0].run, samples_seen=1, updates=1, loss=1.0, seconds=0.0, point=0),
        "MemoryTrial": _by_keyword(nt.MemoryTrial, {"batch_size": whole(), "fits": among(True, False),
            "peak_bytes": count, "predicted_bytes": count, "seconds": real(least=0, none=True),
            "samples_per_second": real(least=0, none=True), "why": _is_text, "is_measured": among(True, False),
            "device": lambda v: v is None or (isinstance(v, str) and None)},
            batch_size=1, fits=True, peak_bytes=1, predicted_bytes=1),
        "DescentStep": _by_keyword(nt.DescentStep, {"index": COUNT, "w1": _is_loss, "w2": _is_loss,
            "loss": _is_loss}, index=0, w1=0.0, w2=0.0, loss=1.0),
    }  # fmt: skip


def _is_empty(value: Any) -> bool | None:
    """No events are a result too; others are not among the values."""
    try:
        is_text = isinstance(value, bytes | bytearray | str | dict)
        return None if hasattr(value, "__iter__") and not hasattr(value, "__len__") else len(value) == 0 and not is_text
    except TypeError:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


COUNT: Rule = whole(0, 2**63 - 1)
"""Of what was counted."""


def _is_loss(value: Any) -> bool:
    """A number, possibly none that is finite."""
    is_float = isinstance(value, float) and (math.isnan(value) or math.isinf(value))
    return is_float or real()(value)


def _is_loss_or_none(value: Any) -> bool:
    return value is None or _is_loss(value)


def _widgets(task: nt.Task) -> dict[str, list[Argument]]:
    none: Rule = lambda v: v is None  # noqa: E731

    def of(kind: Any, rules: dict[str, Rule], **right: Any) -> list[Argument]:
        def make(**arguments: Any) -> None:
            widget = kind(**arguments)
            widget.close()

        return _by_keyword(make, rules, **right)

    shorter = {n: r for n, r in COMPARISON_RULES.items() if n not in ("batch_sizes", "budget", "validation")}
    return {
        "LRFinder": of(nt.LRFinder, {
            "task": nothing, "settings": none, **LR_RULES, "optimizer": lambda v: v is None or None,
            "batch_sizes": lambda v: whole_numbers(v) and None,
        }, task=task),
        "BatchProber": of(nt.BatchProber, {"task": nothing, "settings": none, **BATCH_RULES}, task=task),
        "BatchComparison": of(nt.BatchComparison, {
            "task": nothing, "settings": none, **shorter, "lr": lambda v: _rate(v) and None,
            "batch_sizes": lambda v: _sizes(v) and None, "budget": lambda v: _is_budget(v) and None,
        }, task=task),
        "DescentExplorer": of(nt.DescentExplorer, {"settings": none, **DESCENT_RULES}),
    }  # fmt: skip


class _Shown:
    """One widget of each kind, made when it is first asked for."""

    def __init__(self, task: nt.Task) -> None:
        self._task, self._made = task, dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            made = {"LRFinder": nt.LRFinder, "BatchProber": nt.BatchProber, "BatchComparison": nt.BatchComparison}
            self._made[name] = made[name](self._task) if name in made else nt.DescentExplorer()
        return self._made[name]


WIDGETS = "LRFinder", "BatchProber", "BatchComparison", "DescentExplorer"


def _is_mode(value: Any) -> bool | None:
    """One that some of them have; the explorer has none, and leaves any text unread."""
    return None if isinstance(value, str) else False


TRAITS: dict[str, Rule] = {
    "state": nothing, "values": nothing, "mode": _is_mode, "fields": anything,
    "sentence": anything, "plots": lambda v: isinstance(v, dict) and None,
    "progress": anything, "problem": anything,
}  # fmt: skip


def _traits(task: nt.Task) -> dict[str, list[Argument]]:
    shown = _Shown(task)

    def assigned(name: str, trait: str, value: Any) -> None:
        before = getattr(shown[name], trait)
        try:
            setattr(shown[name], trait, value)
            assert shown[name]._repr_mimebundle_() is not None
        finally:
            setattr(shown[name], trait, before)

    return {
        f"{name}'s traits": [
            Argument(trait, functools.partial(assigned, name, trait), TRAITS[trait], is_trait=True) for trait in TRAITS
        ]
        for name in WIDGETS
    }


def _messages(task: nt.Task) -> dict[str, list[Argument]]:
    shown = _Shown(task)

    def sent(name: str, make: Callable[[Any], Any], value: Any) -> None:
        widget = shown[name]
        before = widget.values, widget.mode
        widget._handle_custom_msg(make(_in_json(value)), [])
        widget.stop()
        if (session := session_of(widget)) is not None:
            session.wait(PATIENCE_SECONDS)
        widget.values, widget.mode = before

    return {
        f"{name}'s messages": [
            Argument(what, functools.partial(sent, name, make), lambda v: True) for what, make in MESSAGES.items()
        ]
        for name in WIDGETS
    }


PARTS: dict[str, Callable[[nt.Task], dict[str, list[Argument]]]] = {
    "settings": _settings, "tasks": _tasks, "tools": _tools, "estimates": _estimates, "results": _results,
    "widgets": _widgets, "traits": _traits, "messages": _messages,
}  # fmt: skip

MESSAGES: dict[str, Callable[[Any], Any]] = {
    "content": lambda value: value,
    "type": lambda value: {"type": value},
    "values": lambda value: {"type": "set", "values": value},
    "mode": lambda value: {"type": "set", "mode": value},
    "a value": lambda value: {"type": "set", "values": {"lr_min": value, "capacity": value, "lr": value}},
    "name": lambda value: {"type": "pick", "name": value, "value": value},
    "value": lambda value: {"type": "pick", "name": "bars", "value": value},
    "start": lambda value: {"type": "start", "values": {"lr_min": value, "lr": value, "batch_sizes": value}},
}
"""Malformed messages, as another extension may send: they are left unheard."""


def _in_json(value: Any) -> Any:
    """The value as a browser can send it; as text where it cannot."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError, RuntimeError):
        return told(value)


def trials(callables: Callables, wanted: int, seed: int = 0) -> Iterator[tuple[str, Argument, Any]]:
    """So many wrong values for every callable, its arguments in turn."""
    for name, arguments in callables.by_name.items():
        chances = random.Random(f"{seed} {name}")
        for index in range(wanted):
            yield name, arguments[index % len(arguments)], wrong_value(chances)


def judged(argument: Argument, value: Any, task: nt.Task) -> Verdict:
    """Call it and judge what comes of it."""
    before, text = everything(task), _snapshot(value)
    may_be = argument.rule(value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            argument.call(value)
    except Exception as error:
        verdict = _of_error(argument, value, error, may_be)
    else:
        verdict = Verdict("wrong", "accepted") if may_be is False else Verdict("accepted")
    if everything(task) != before or _snapshot(value) != text:
        return Verdict("wrong", "something of the user's is changed")
    return verdict


def _of_error(argument: Argument, value: Any, error: Exception, may_be: bool | None) -> Verdict:
    said, what = str(error), f"{type(error).__name__}: {str(error)[:150]}"
    if may_be:
        return Verdict("wrong", f"refused though right: {what}")
    if argument.is_trait:
        return Verdict("refused")
    if any("nbtune: the batch was" in note for note in getattr(error, "__notes__", ())):
        return Verdict("refused")  # the user's own model did not take the data, which is told with what they were
    if type(error) not in (TypeError, ValueError, nt.NotPredictableError):
        return Verdict("wrong", f"not a documented type: {what}")
    if len(said) > MOST_TEXT:
        return Verdict("wrong", f"{len(said)} characters: {what}")
    if not (OF_PYTHON.search(said) or _is_raised_here(error)):
        return Verdict("wrong", f"an inner error: {what}")
    return (
        Verdict("refused")
        if re.search(argument.name, said, re.IGNORECASE)
        else Verdict("wrong", f"does not name it: {what}")
    )


def _is_raised_here(error: Exception) -> bool:
    """Whether a ``raise`` of nbtune's own made it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return frame.filename.startswith(PACKAGE) and frame.lineno in _raises(frame.filename)


@functools.cache
def _raises(filename: str) -> set[int]:
    tree = ast.parse("".join(linecache.getlines(filename)))
    spans = [(n.lineno, n.end_lineno or n.lineno) for n in ast.walk(tree) if isinstance(n, ast.Raise) and n.exc]
    return {line for first, last in spans for line in range(first, last + 1)}


def _snapshot(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.device.type != "meta" and not value.is_sparse:
        return repr(value)
    return told(value) if isinstance(value, list | dict | set | bytearray | torch.nn.Module) else None
