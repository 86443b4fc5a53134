"""Whether a step trained the copy it was given, or by mistake the user's own model."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from threading import get_ident
from typing import Any

import torch
from torch import nn

from ..interrupts import held_back
from ..task.task import Task
from .copies import Workpiece
from .workpiece import Backups


def check_graph(loss: torch.Tensor, theirs: set[int], task: Task) -> None:
    """Before any gradient flows: the loss must not hang on the user's own parameters while a copy trains.

    Args:
        loss: With its graph.
        theirs: The ids of those parameters.
        task: Whose they are.
    Raises:
        StrayedError: Where it does; the first one is named.
    """
    seen: set[Any] = set()
    nodes = [loss.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if id(variable := getattr(node, "variable", None)) in theirs:
            raise StrayedError(
                f"{_blame(task)}: the loss hangs on {_name_of(variable, task)} of your own model{_ADVICE}"
            )
        nodes.extend(following for following, _ in node.next_functions)


class StrayedError(RuntimeError):
    """A step reaches for the user's own objects, not for those it is given."""


_ADVICE = "; nbtune trains a copy, so use the arguments, and make every trained module part of the model"


def _blame(task: Task) -> str:
    name = next(n for n in ("update", "training_step", "loss_fn", "model") if getattr(task, n) is not None)
    return f"your {name} uses the global model, not the one it is given (or another module or optimizer from outside)"


def _name_of(parameter: Any, task: Task) -> str:
    named = ((m, n, p) for m, model in task.models.items() for n, p in model.named_parameters())
    found = next((f"{model}.{name}" if model else name for model, name, p in named if p is parameter), None)
    return "a parameter of its own" if found is None else f"the parameter {found!r}"


class CopyWatch:
    """Around the first step on a copy: if the user's own objects were trained instead, put them back and say so."""

    def __init__(self, task: Task, workpiece: Workpiece) -> None:
        self._task, self._workpiece = task, workpiece
        # Only code that is handed the model can train another one by mistake; others need no backup.
        self._is_handed_model = bool(task.update or task.training_step)
        self._backups = Backups()
        self._backup = self._backups.of(task) if self._is_handed_model else None

    @held_back()
    def __enter__(self) -> None:
        self._before = self._theirs()
        self._copy_before = self._ours()
        self._has_stepped_theirs, thread = False, get_ident()

        def note(*_: Any) -> None:
            # In another thread the user may train the model meanwhile.
            self._has_stepped_theirs |= get_ident() == thread

        # Accelerate's wrapper has no hooks of its own; what it wraps has.
        wrapped = [getattr(o, "optimizer", o) for o in self._task.optimizers.values()]
        self._handles = [o.register_step_post_hook(note) for o in wrapped if hasattr(o, "_optimizer_step_post_hooks")]

    @held_back()
    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with closing(self._backups):
            self._look(error)

    def _look(self, error: Any) -> None:
        for handle in self._handles:
            handle.remove()
        theirs = self._theirs()
        changed = [p for p, now, then in zip(self._task.parameters, theirs, self._before, strict=True) if now != then]
        # Where the copy's weights are as they were, its own optimizer stepped something else.
        is_idle = [version for version, _ in self._ours()] == [version for version, _ in self._copy_before]
        strayed = self._has_stepped_theirs or (changed and is_idle)
        if strayed or isinstance(error, StrayedError):
            self._put_back(is_idle)
        if strayed and error is None:
            raise self._seen(changed[0] if changed else None)

    def _put_back(self, is_idle: bool) -> None:
        if self._backup is not None:
            self._backup.put_back()
        elif is_idle:
            pairs = zip(self._task.models.values(), self._workpiece.models, strict=True)
            with torch.no_grad():
                for theirs, ours in ((t, o) for mine, copied in pairs for t, o in _together(mine, copied)):
                    theirs.copy_(ours)

    def _seen(self, changed: nn.Parameter | None) -> StrayedError:
        """Who is to blame is said only where the user's code could do it: of a loss_fn alone, nbtune itself steps."""
        what = "an optimizer of your own took a step"
        if changed is not None:
            what = f"{_name_of(changed, self._task)} of your own model was changed"
        if self._is_handed_model:
            return StrayedError(f"{_blame(self._task)}: {what}{_ADVICE}")
        return StrayedError(
            f"the first step on a copy went astray: {what} instead of the copy. Something in the model or around the "
            "optimizer leads back to the original; give the objects that it wraps"
        )

    def _theirs(self) -> list[Any]:
        return [(p._version, id(p.grad), p.grad is not None and p.grad._version) for p in self._task.parameters]

    def _ours(self) -> list[Any]:
        parameters = [p for m in self._workpiece.models for p in nn.Module.parameters(m)]
        return [(p._version, p.grad is not None) for p in parameters]


def _together(theirs: nn.Module, ours: nn.Module) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    return zip(theirs.parameters(), ours.parameters(), strict=True)
