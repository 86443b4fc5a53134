"""Whether a step trained the copy it was given, or by mistake the user's own model."""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch
from torch import nn

from ..interrupts import held_back
from ..task.task import Task
from .backup import Backup
from .workpiece import Workpiece


def check_graph(loss: torch.Tensor, theirs: set[int], task: Task) -> None:
    """Before any gradient flows: the loss must not hang on the user's own parameters while a copy trains."""
    seen: set[Any] = set()
    nodes = [loss.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if id(getattr(node, "variable", None)) in theirs:
            raise _global_model_error(task)
        nodes.extend(following for following, _ in node.next_functions)


def _global_model_error(task: Task) -> RuntimeError:
    name = next(n for n in ("update", "training_step", "loss_fn", "model") if getattr(task, n) is not None)
    return RuntimeError(
        f"your {name} uses the global model, not the one it is given (or another module or optimizer from outside); "
        "nbtune trains a copy, so use the arguments, and make every trained module part of the model"
    )


class CopyWatch:
    """Around the first step on a copy: if the user's own objects were trained instead, put them back and say so."""

    def __init__(self, task: Task, workpiece: Workpiece) -> None:
        self._task, self._workpiece = task, workpiece
        # Only code that is handed the model can train another one by mistake; others need no backup.
        self._backup = Backup(task) if task.update or task.training_step else None

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
        for handle in self._handles:
            handle.remove()
        strayed = self._has_stepped_theirs or (self._theirs() != self._before and self._ours() == self._copy_before)
        if self._backup is not None and (strayed or (error is not None and "global model" in str(error))):
            self._backup.put_back()
        if strayed and error is None:
            raise _global_model_error(self._task)

    def _theirs(self) -> list[Any]:
        return [(p._version, id(p.grad), p.grad is not None and p.grad._version) for p in self._task.parameters]

    def _ours(self) -> list[Any]:
        parameters = [p for m in self._workpiece.models for p in nn.Module.parameters(m)]
        return [(p._version, p.grad is not None) for p in parameters]
