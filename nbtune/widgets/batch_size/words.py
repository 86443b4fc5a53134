"""What the batch prober says: one sentence for each view and state."""

from __future__ import annotations

import re
from typing import Any

from ...engine import Task
from ...engine.batch_size.limit import BatchLimit
from ...engine.batch_size.settings import BatchSettings
from ...engine.batch_size.trial import MemoryTrial
from ...engine.batch_size.what_fits.result import WhatFits
from ...engine.memory.replay.timeline import MemoryTimeline
from ...formats import format_loss, format_memory, format_percent
from ..panel.view import Sentence
from .run import is_played

NO_ESTIMATE: Sentence = [["Not predictable:", "strong"], [" what the layers hold is not known.", ""]]
PLURALS = {"convolution": "Convolutions", "concatenation": "Joins"}


def limit_sentence(limit: BatchLimit) -> Sentence:
    """Verdict in bold, the evidence, in muted ink the limit."""
    best = None if limit.batch_size is None else str(limit.batch_size)
    head, mark, tail = limit.verdict.partition(f"k = {best}")
    verdict = [[limit.verdict, "strong"]]
    if mark:
        verdict = [[f"{head}k = ", "strong"], [str(best), "answer"], [tail, "strong"]]
    stopped = [["Stopped. ", "strong"]] if limit.outcome == "stopped" and limit.trials else []
    return [*stopped, *verdict, *_tail(limit)]


def grid_sentence(grid: Any) -> Sentence:
    """The verdict, then the sizes as answers: "k = 8 at 512², 32 at 256²"."""
    pieces = re.split(r"(\d+)(?= at )", f" {grid.reason}" if grid.reason else "")
    reason = [[text, "answer" if place % 2 else ""] for place, text in enumerate(pieces) if text]
    colon = [[":", "strong"]] if reason and not grid.verdict.endswith((".", ":")) else []
    return [[grid.verdict, "strong"], *colon, *reason, *([[f" {grid.limit}", "muted"]] if grid.limit else [])]


def layers_sentence(estimate: Any, k: int) -> Sentence:
    """Which outweighs which, and what the layers with the most parameters hold of both."""
    layers = estimate.layers(k)
    parameters, activations = (
        sum(getattr(layer, name) for layer in layers) for name in ("parameter_bytes", "activation_bytes")
    )
    if not parameters or not activations:
        return [["Nothing is known of the layers.", "strong"]]
    heavy, light = ("Activations", "parameters") if activations > parameters else ("Parameters", "activations")
    factor = format_loss(max(activations, parameters) / min(activations, parameters))
    most = max(layers, key=lambda layer: layer.parameter_bytes)
    of_parameters = format_percent(most.parameter_bytes / parameters)
    of_activations = format_percent(most.activation_bytes / activations)
    name = PLURALS.get(most.kind, f"{most.kind.capitalize()} layers")
    evidence = f" {name} hold {of_parameters} of the parameters, {of_activations} of the activations."
    return [[f"{heavy} outweigh {light} {factor}×.", "strong"], [evidence, ""]]


def changes_sentence(found: WhatFits) -> Sentence:
    """The smallest change in bold, k as the answer."""
    stopped = [["Stopped. ", "strong"]] if found.outcome == "stopped" and found.changes else []
    head, mark, tail = found.verdict.partition(f"k = {found.batch_size}")
    fits = found.smallest is not None
    verdict = [[head, "strong"], [mark, "answer" if fits else "strong"], [tail, "strong"]]
    return [*stopped, *(piece for piece in verdict if piece[0]), *_tail(found)]


def timeline_sentence(timeline: MemoryTimeline) -> Sentence:
    """The peak of one step, and what runs there."""
    peak = format_memory(timeline.allocated_bytes[timeline.peak])
    return [
        [f"{peak} in use at the peak with k = {timeline.batch_size}.", "strong"],
        [f" {timeline.where}", ""],
        [" Predicted.", "muted"],
    ]


def running_sentence(trials: list[MemoryTrial], image_sizes: int, changes: int = 0) -> Sentence:
    """How far a run has come; a played trial says what came of it.

    Args:
        trials: So far.
        image_sizes: Rows of the grid so far.
        changes: Estimated so far.
    """
    if image_sizes:
        return [[f"Predicted so far: {_counted(image_sizes, 'image size')}.", "muted"]]
    if changes:
        return [[f"Estimated so far: {_counted(changes, 'change')}.", "muted"]]
    if trials and is_played(trials[-1]):
        last = trials[-1]
        outcome = "it fits" if last.fits else "out of memory"
        return [[f"Played: k = {last.batch_size}: {outcome}.", "strong" if last.fits else "danger"]]
    if not trials:
        return [["Predicting the memory of every batch size.", "muted"]]
    ran = [trial.batch_size for trial in trials if trial.is_measured]
    if not ran:
        return [["Every size is predicted. Now steps are run where they fit.", "muted"]]
    return [[f"Measured so far: {_counted(len(set(ran)), 'size')}, the last k = {ran[-1]}.", "muted"]]


def applied_sentence(name: str, settings: BatchSettings, task: Task) -> Sentence:
    """How to use the new task in code, and what else was planned."""
    k = task.batch_size
    planned = _planned(settings, task)
    also = f" The prediction is for {', '.join(planned)}: set that in your code." if planned else ""
    also_set = f" and accumulate={task.accumulate}" if task.accumulate > 1 else ""
    used = f" {name}.task now has batch_size={k}{also_set}; train on {name}.task.loader."
    return [["Applied:", "strong"], [used, ""], *([[also, "muted"]] if also else [])]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _planned(settings: BatchSettings, task: Task) -> list[str]:
    """What the settings have and the task has not."""
    amp = (settings.amp or None) if settings.amp is not None else task.amp
    return [
        *([f"images of {settings.image_size}²"] if settings.image_size else []),
        *([f"sequences of {settings.sequence_length}"] if settings.sequence_length else []),
        *([settings.optimizer] if settings.optimizer else []),
        *([] if amp == task.amp else ["mixed precision" if amp else "no mixed precision"]),
        *(["gradient checkpointing"] if settings.checkpointing else []),
    ]


def _tail(limit: BatchLimit | WhatFits) -> Sentence:
    reason = [[f" {limit.reason}", ""]] if limit.reason else []
    return [*reason, *([[f" {limit.limit}", "muted"]] if limit.limit else [])]
