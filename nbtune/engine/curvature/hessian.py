"""Products of the loss's Hessian with vectors, on batches that stay the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.autograd.function import BackwardCFunction
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..device import out_of_memory
from ..device.capacity import free_bytes
from ..interrupts import let_through
from ..task import batches
from ..task.task import Task
from ..training.copy_watch import CopyWatch, check_graph
from ..training.losses import checked_loss, raw_loss
from ..training.random_streams import RandomStreams
from ..training.workpiece import Workpiece


class NoSecondDerivativeError(RuntimeError):
    """There is no way to a product with this Hessian."""


Method = Literal["double backward", "central differences"]

STEP = 1e-3
"""Of central differences: the move, as a part of 1 + |w|. Near the cube root of float32's precision, where the errors
of rounding and of the third derivative are about equal."""

GRAPHS = 4
"""The memory of a graph that can be differentiated twice, as a multiple of one that can be once."""


class Hessian:
    """The Hessian of the mean loss of some batches at the workpiece's weights, which only ever multiplies vectors.

    Vectors are flat, over ``parameters`` in their order. The loss is one function of the weights: every evaluation
    sees the same batches, with the same dropout, in the modes the model is in; task.amp plays no part.

    Args:
        task: Whose loss it is.
        workpiece: What computes it; put back by its lender, not here.
        parameters: With respect to which.
        samples: The batches, at least one, on the device.
        seed: Of the loss's random numbers.
    Attributes:
        method: "double backward", or "central differences" where that is not to be had: an operation without a second
            derivative, one with a backward pass of its own (which may hide that it has one, as fused kernels do), or
            too little memory for the graph. Known after the first product.
    """

    def __init__(
        self, task: Task, workpiece: Workpiece, parameters: Sequence[torch.Tensor], samples: list[Any], *, seed: int = 0
    ) -> None:
        self.method: Method = "double backward"
        self._task, self._workpiece, self._samples, self._seed = task, workpiece, samples, seed
        self._parameters = list(parameters)
        self._is_watched = workpiece.is_copy
        self._kept_graph: list[torch.Tensor] | None = None
        self._failure: RuntimeError | None = None
        self._streams: RandomStreams | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Of the vectors: float64 where a parameter is, else float32."""
        return torch.float64 if any(p.dtype == torch.float64 for p in self._parameters) else torch.float32

    @property
    def is_rounded(self) -> bool:
        """Whether a weight is of half precision, so that a small move would be lost."""
        return any(p.dtype in (torch.float16, torch.bfloat16) for p in self._parameters)

    def loss(self) -> float:
        """The mean loss of the batches; it also tells how large its graph is, and so how to take products."""
        values, largest = list[float](), 0
        for sample in self._samples:
            with _graph_bytes() as kept:
                values.append(float(self._evaluated(sample).detach()))
            own = {p.untyped_storage().data_ptr() for p in self._parameters}
            largest = max(largest, sum(size for storage, size in kept.items() if storage not in own))
        free = free_bytes(self._task.device)
        # On a host there is no error to wait for: the system ends the whole process.
        if free is not None and GRAPHS * largest > free / 2:
            self.method = "central differences"
        return sum(values) / len(values)

    def gradient(self, sample: Any) -> torch.Tensor:
        """The gradient on one batch, flat."""
        self._clear_gradients()
        # Not autograd.grad, which checkpointing (its reentrant kind) does not take.
        loss = self._evaluated(sample)
        with let_through():
            loss.backward()
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        self._clear_gradients()
        return self._flat(found)

    def times(self, vector: torch.Tensor) -> torch.Tensor:
        """The Hessian times ``vector``, flat.

        Raises:
            NoSecondDerivativeError: Where neither method works: an operation has none, and the weights are of half
                precision.
            Exception: Whatever the user's model and loss raise.
        """
        if self.method == "double backward":
            product = self._mean(self._by_double_backward, vector)
            if product is not None:
                return product
            # Only here, after the except block, does nothing hold the graph any more.
            self._kept_graph, failure, self._failure = None, self._failure, None
            out_of_memory.released(self._task.device, 0, failure)
            self.method = "central differences"
        if self.is_rounded:
            raise NoSecondDerivativeError(
                "an operation has no second derivative, and half-precision weights are too coarse for differences"
            )
        product = self._by_differences(vector)
        assert product is not None
        return product

    def close(self) -> None:
        """Let go of the graph, and undo what an interrupt has left half done."""
        self._kept_graph = self._failure = None
        if self._streams is not None:
            self._streams.put_back()

    def _mean(self, product_of: Any, vector: torch.Tensor) -> torch.Tensor | None:
        total: torch.Tensor | None = None
        for sample in self._samples:
            product = product_of(sample, vector)
            if product is None:
                return None
            total = product if total is None else total.add_(product)
        assert total is not None
        return total.div_(len(self._samples))

    def _by_double_backward(self, sample: Any, vector: torch.Tensor) -> torch.Tensor | None:
        gradients = self._kept_graph
        is_kept = len(self._samples) == 1  # one graph is kept for all products; of several, one at a time is made
        if gradients is None:
            loss = self._evaluated(sample)
            if _has_backward_of_its_own(loss):
                return None
            try:
                with let_through():
                    gradients = list(
                        torch.autograd.grad(loss, self._parameters, create_graph=True, materialize_grads=True)
                    )
            except RuntimeError as error:
                self._failure = error
                return None
            if is_kept:
                self._kept_graph = gradients
        linked = [
            (g, part.to(g.dtype)) for g, part in zip(gradients, self._parts(vector), strict=True) if g.requires_grad
        ]
        # None of them: most likely a loss that is linear in the weights.
        if not linked or any(g.is_sparse for g in gradients):
            return None
        try:
            with let_through():
                products = torch.autograd.grad(
                    [g for g, _ in linked], self._parameters, [part for _, part in linked],
                    retain_graph=is_kept, materialize_grads=True,
                )  # fmt: skip
        except RuntimeError as error:
            self._failure = error
            return None
        return self._flat(products)

    @torch.no_grad()
    def _by_differences(self, vector: torch.Tensor) -> torch.Tensor:
        saved = [p.clone() for p in self._parameters]
        size = math.sqrt(sum(float(p.double().square().sum()) for p in saved))
        step = STEP * (1 + size) / float(vector.norm())
        try:
            ahead, behind = (self._gradient_at(saved, vector, s) for s in (step, -step))
        finally:
            self._move(saved)
        return ahead.sub_(behind).div_(2 * step)

    def _gradient_at(self, saved: list[torch.Tensor], vector: torch.Tensor, step: float) -> torch.Tensor:
        self._move([p + step * part.to(p.dtype) for p, part in zip(saved, self._parts(vector), strict=True)])
        with torch.enable_grad():
            gradient = self._mean(lambda sample, _: self.gradient(sample), vector)
        assert gradient is not None
        return gradient

    def _move(self, values: list[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self._parameters, values, strict=True):
                parameter.copy_(value)

    def _evaluated(self, sample: Any) -> torch.Tensor:
        """The loss of one batch with its graph, always with the same random numbers."""
        if not self._is_watched:
            return self._loss_of(sample)
        self._is_watched = False
        with CopyWatch(self._task, self._workpiece):
            loss = self._loss_of(sample)
            check_graph(loss, {id(p) for p in self._task.parameters}, self._task)
        return loss

    def _loss_of(self, sample: Any) -> torch.Tensor:
        # A step may take things out of its batch, or write into it.
        own = batches.with_own_containers(sample, clones=True)
        self._streams = RandomStreams(self._task.device, self._seed)
        try:
            with self._streams, _twice_differentiable(self._task, self._workpiece), let_through():
                return checked_loss(raw_loss(self._workpiece, own), True)
        except Exception as error:
            error.add_note(f"nbtune: the batch was {batches.shapes(sample)}")
            raise

    def _parts(self, vector: torch.Tensor) -> list[torch.Tensor]:
        parts = vector.split([p.numel() for p in self._parameters])
        return [part.view(p.shape) for part, p in zip(parts, self._parameters, strict=True)]

    def _flat(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        dense = [t.to_dense() if t.is_sparse else t for t in tensors]
        return torch.cat([t.detach().reshape(-1).to(self.dtype) for t in dense])

    def _clear_gradients(self) -> None:
        roots = [m for m in (*self._workpiece.models, self._workpiece.loss_fn) if isinstance(m, nn.Module)]
        for parameter in (*self._parameters, *(p for root in roots for p in root.parameters())):
            parameter.grad = None


def _has_backward_of_its_own(loss: torch.Tensor) -> bool:
    """Whether a ``torch.autograd.Function`` of somebody's own is in the graph (also what ``torch.compile`` makes)."""
    seen: set[Any] = set()
    nodes = [loss.grad_fn]
    while nodes:
        node = nodes.pop()
        if isinstance(node, BackwardCFunction):
            return True
        if node is not None and node not in seen:
            seen.add(node)
            nodes.extend(following for following, _ in node.next_functions)
    return False


@contextmanager
def _graph_bytes() -> Iterator[dict[int, int]]:
    """What operations in the block keep for their backward pass: storage → bytes."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.layout == torch.strided:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        # Without its own graph, which autograd joins on again: an operation's output that the operation keeps would
        # else keep the operation, in a circle that no collection finds.
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


@contextmanager
def _twice_differentiable(task: Task, workpiece: Workpiece) -> Iterator[None]:
    """Kernels whose backward pass has a derivative; those of flash attention and cuDNN's RNNs have none."""
    with ExitStack() as undo:
        undo.enter_context(sdpa_kernel(SDPBackend.MATH))
        modules = [m for model in workpiece.models for m in model.modules()]
        if task.device.type == "cuda" and any(isinstance(m, nn.RNNBase) for m in modules):
            # Only for these: convolutions without cuDNN are slow.
            undo.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield
