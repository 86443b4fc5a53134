"""Every tensor a step allocates and lets go of, in order, seen from below autograd."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ...interrupts import raise_waiting, shielded
from ..architecture import UNNAMED
from .adopted import Adopted
from .course import Course
from .kernels import MATRIX_PRODUCTS, Workspace, cuda_workspaces
from .lineage import Lineage
from .recording import BACKWARD, CONTEXT, FORWARD, UPDATE, Allocation, Recording
from .shortcuts import UNSUITED, shortcut
from .values import UNKNOWN, Values, is_followed

Workspaces = Callable[[str, Any, Any], list[Workspace]]


class Recorder(TorchDispatchMode):
    """Notes the birth and death of every storage on one device while it is active.

    A storage is born with the first tensor seen on it, and dies with the storage object, which PyTorch keeps one per
    storage. Works on meta, fake and real tensors alike: nothing is asked of a storage but its identity.

    Args:
        device_type: Tensors elsewhere (an optimizer's step counter on the host) are not counted.
        workspaces: What kernels allocate for themselves; None where they really run.
        adopts: Whether tensors of the host stand for ones on the device, once an operator takes both.
        matrix_bytes: What each thread that multiplies matrices holds; see ``Architecture.workspace_bytes``.
    """

    def __init__(
        self, device_type: str, workspaces: Workspaces | None = cuda_workspaces, *, adopts: bool = False,
        matrix_bytes: int = UNNAMED.workspace_bytes,
    ) -> None:  # fmt: skip
        super().__init__()
        self._matrix_bytes = matrix_bytes
        self._adopted = Adopted() if adopts else None
        self.recording = Recording()
        self._course = Course(self.recording.runs)
        self._lineage = Lineage(self.recording.parameters, self.recording.arrived, self._allocation_of)
        self._phase = FORWARD
        self.values = Values()
        self._threads_with_workspace: set[bool] = set()
        self._device_type, self._kernels = device_type, workspaces
        self._ids: dict[int, tuple[int, Any]] = {}
        self._stack: list[int] = []
        self._is_over = False
        self._names: dict[Any, str] = {}

    @property
    def phase(self) -> str:
        """Of the step."""
        return self._phase

    @phase.setter
    def phase(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            self._course.cut()
            self.recording.turns.append((len(self.recording.events), phase))

    @property
    def doing(self) -> str:
        """What the step is at, in words; from any thread."""
        return "optimizer step" if self._phase == UPDATE else f"{self._phase} pass"

    @property
    def place(self) -> str:
        """Where the pass is, in words; from any thread."""
        stack = self._stack.copy()
        path = self.recording.modules[stack[-1]][0] if stack else ""
        return f", in {path}" if path else ""

    def begin_step(self) -> None:
        """From here on, events are those of the next step."""
        self.phase = FORWARD
        self.recording.steps.append(len(self.recording.events))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise_waiting()
        # In the backward pass a function mode is on, which every look at a tensor below would go through.
        with torch._C.DisableTorchFunction():
            return self._noted(func, args, kwargs or {})

    def _noted(self, func: Any, args: Any, kwargs: Any) -> Any:
        if self.phase == FORWARD and torch._C._current_autograd_node() is not None:
            self.phase = BACKWARD
        if self.phase == BACKWARD:
            self._course.turn_back(self._module, len(self.recording.events))
        scalar = self.values.scalar(func, args)
        if scalar is not UNKNOWN:
            return scalar
        if self._adopted is not None:
            args, kwargs = self._adopted.in_place_of_strangers(func, args, kwargs)
            for real, made in self._adopted.newcomers():
                self.values.know(made, real.detach().clone()) if is_followed(real) else None
                self._see(made, "host", "inputs" if not real.requires_grad else "parameters")
        result = self._run(func, args, kwargs)
        name = self._names.get(func)
        if name is None:
            name = self._names[func] = str(func).rpartition(".")[0]
            self.recording.operators.add(name)
        born = False
        for tensor in result if isinstance(result, (list, tuple)) else (result,):
            if isinstance(tensor, torch.Tensor):
                born |= self._see(tensor, name)
            elif isinstance(tensor, (list, tuple)):
                for inner in tree_leaves(tensor):
                    born |= isinstance(inner, torch.Tensor) and self._see(inner, name)
        if born and self.phase == UPDATE:
            self._lineage.inherit(args, result)
        if self._kernels is cuda_workspaces and name in MATRIX_PRODUCTS:
            self._hold_workspace(name)
        if born and self._kernels is not None:
            for shape, size in self._kernels(name, args, result):
                self._let_go(self._add(Allocation(shape, size, "temporary", self.phase, self._module, name)))
        return result

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        quick = shortcut(func) if self._device_type == "meta" else None
        if quick is not None and not self.values.knows(args):
            made = quick(*args, **kwargs)
            if made is not UNSUITED:
                return made
        real = self.values.run(func, args, kwargs)
        if real is UNKNOWN:
            args, places = self.values.with_places(func, args)
            for place in places:
                self._see(place, "aten.nonzero")
            result = func(*args, **kwargs)
            self.values.forget(func, args, kwargs, result)
            return result
        try:
            result = func(*args, **kwargs)
        except (RuntimeError, NotImplementedError):  # its shape depends on the numbers
            result = self.values.shaped_like(real)
        self.values.note(result, real)
        return result

    def see(self, tensors: Any, part: str) -> None:
        """Count tensors that were there before, or that no operator made, as ``part``."""
        for tensor in tree_leaves(tensors):
            if isinstance(tensor, torch.Tensor) and not self._see(tensor, part, part):
                self.name_part(tensor, part)

    def name_part(self, tensor: torch.Tensor, part: str) -> None:
        """What a storage already counted turned out to be, such as a gradient."""
        found = self._allocation_of(tensor)
        if found is not None:
            found.part = part

    def _allocation_of(self, tensor: torch.Tensor) -> Allocation | None:
        if tensor.device.type != self._device_type or tensor.layout != torch.strided:
            return None
        known = self._ids.get(_storage_of(tensor)._cdata)
        return None if known is None else self.recording.allocations[known[0]]

    @contextmanager
    def following(self, models: dict[str, nn.Module], optimizers: list[Any]) -> Iterator[None]:
        """Know which module is being called and when an optimizer steps, by hooks on models and optimizers."""
        handles: list[Any] = list(self._lineage.follow(models))
        for root, model in models.items():
            for path, module in model.named_modules(prefix=root):
                self.recording.modules.append((path, type(module)))
                if isinstance(module, torch.jit.ScriptModule):  # has no hooks: its layers count for what calls it
                    continue
                index = len(self.recording.modules) - 1
                handles.append(module.register_forward_pre_hook(self._enter(index), with_kwargs=True))
                handles.append(module.register_forward_hook(self._leave, always_call=True))
        for optimizer in optimizers:
            optimizer = getattr(optimizer, "optimizer", optimizer)  # Accelerate's wrapper has no hooks of its own
            if hasattr(optimizer, "_optimizer_step_pre_hooks"):
                handles.append(optimizer.register_step_pre_hook(self._before_update))
                handles.append(optimizer.register_step_post_hook(self._after_update))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _before_update(self, optimizer: Any, *_: Any) -> None:
        self.phase = UPDATE
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.name_part(parameter.grad, "gradients")
                    self._lineage.of_update(parameter, [parameter.grad])

    def _after_update(self, optimizer: Any, *_: Any) -> None:
        self.phase = FORWARD
        for parameter, entry in optimizer.state.items():
            values = tree_leaves(entry)  # L-BFGS keeps lists
            for value in values:
                if isinstance(value, torch.Tensor):
                    self.name_part(value, "optimizer")
            self._lineage.of_update(parameter, values)

    def _enter(self, index: int) -> Callable[..., None]:
        def enter(_: Any, args: Any, kwargs: Any) -> None:
            if torch._C._current_autograd_node() is None:  # else a checkpoint computes it again
                self.phase = FORWARD
            self._stack.append(index)
            self._turn()
            if any(isinstance(x, torch.Tensor) and x.requires_grad for x in (*args, *kwargs.values())):
                self.recording.fed.add(index)

        return enter

    def _leave(self, *_: Any) -> None:
        if self._stack:
            self._stack.pop()
            self._turn()

    def _turn(self) -> None:
        if self.phase == BACKWARD:
            self._course.turn_again(self._module)
        else:
            self._course.turn_to(self._module, len(self.recording.events))

    @property
    def _module(self) -> int:
        return self._stack[-1] if self._stack else -1

    def _see(self, tensor: torch.Tensor, operator: str, part: str = "") -> bool:
        if tensor.device.type != self._device_type:
            return False
        try:
            storage = _storage_of(tensor)
        except (NotImplementedError, RuntimeError):  # sparse and the like have none
            return False
        key = storage._cdata
        if key in self._ids:
            return False
        shape, item = tuple(tensor.shape), tensor.element_size()
        if math.prod(shape) * item != storage.nbytes():  # a view of something larger, or padded
            shape, item = (storage.nbytes(),), 1
        of = self._lineage.number_of(tensor)
        index = self._add(Allocation(shape, item, part, self.phase, self._module, operator, of))
        self._ids[key] = (index, weakref.ref(storage, shielded(lambda _: self._forget(key))))
        return True

    def _hold_workspace(self, name: str) -> None:
        """cuBLAS keeps one for each thread that multiplies matrices: the caller's, and the backward pass's."""
        thread = self.phase == BACKWARD
        if thread not in self._threads_with_workspace:
            self._threads_with_workspace.add(thread)
            self._add(Allocation((1,), self._matrix_bytes, CONTEXT, self.phase, -1, name))

    def _add(self, allocation: Allocation) -> int:
        index = len(self.recording.allocations)
        self.recording.allocations.append(allocation)
        self.recording.events.append(index)
        return index

    def _let_go(self, index: int) -> None:
        allocation = self.recording.allocations[index]
        if not allocation.part:
            allocation.part = "activations" if self._outlives_its_making(allocation) else "temporary"
        self.recording.events.append(~index)

    def _outlives_its_making(self, allocation: Allocation) -> bool:
        """Whether it was kept for the backward pass: beyond its module's call, or beyond the forward pass."""
        if allocation.module >= 0:
            return not self._stack
        return allocation.phase == FORWARD != self.phase

    def stop(self) -> None:
        """Note nothing more: what is freed later, when the collector comes by, is no part of the steps."""
        self._is_over = True

    def _forget(self, key: int) -> None:
        index, _ = self._ids.pop(key)
        if not self._is_over:
            self._let_go(index)


def _storage_of(tensor: torch.Tensor) -> Any:
    return tensor.untyped_storage()
