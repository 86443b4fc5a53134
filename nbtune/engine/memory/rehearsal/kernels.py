"""What CUDA's kernels allocate for themselves, which no tensor shows.

The rules were read off allocation traces of an H100 (cuDNN 9.19, PyTorch 2.11; see tests/benchmarks/results). Other
cards and versions choose other algorithms: the sizes are right in kind, not to the byte.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

Shape = tuple[int, ...]
Workspace = tuple[Shape, Callable[[Shape], int]]
"""A buffer that lives as long as its kernel: lengths that may grow with k, and the bytes they come to."""

MIB = 1024**2
_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv")
MATRIX_PRODUCTS = frozenset(f"aten.{name}" for name in _PRODUCTS)
SM_COUNT, THREADS_PER_SM = 132, 2048


def cuda_workspaces(operator: str, args: Any, result: Any) -> list[Workspace]:
    """Buffers an operator takes beside its results."""
    rule = _RULES.get(operator)
    return [] if rule is None else rule(args, result)


def _convolution(args: Any, result: Any) -> list[Workspace]:
    x, weight, stride, groups = args[0], args[1], args[3], args[8]
    return _layout_copies(x, result, weight, stride, groups)


def _convolution_backward(args: Any, result: Any) -> list[Workspace]:
    grad, x, weight, stride, groups, wanted = args[0], args[1], args[2], args[4], args[9], args[10]
    for_input = _layout_copies(grad, x, weight, stride, groups) if wanted[0] else []
    return [*for_input, *(_weight_gradient(grad, x, weight, stride, groups) if wanted[1] else [])]


def _layout_copies(x: Any, y: Any, weight: Any, stride: Any, groups: int) -> list[Workspace]:
    """Tensor-core kernels want channels last: input, output and filter are transposed into one buffer."""
    if is_depthwise(weight, groups) or (_is_pointwise(weight, stride) and _is_aligned(x, weight)):
        return []
    filters = weight.numel() if weight[0][0].numel() > 1 else 0
    return [((x.numel() + y.numel() + filters,), partial(_elements, x.element_size()))]


def _weight_gradient(grad: Any, x: Any, weight: Any, stride: Any, groups: int) -> list[Workspace]:
    """The gradient of a filter is summed in parts, side by side in float32."""
    if is_depthwise(weight, groups):
        return _depthwise_sums(x, weight)
    copies, filters = (grad.numel() + x.numel()) * x.element_size(), weight.numel() * 4
    shape = (x.shape[0], copies // max(1, x.shape[0]), filters)
    is_plain_product = _is_pointwise(weight, stride) and _is_aligned(x, weight) and min(weight.shape[:2]) >= 32
    return [(shape, _pointwise_sums if is_plain_product else _filter_sums)]


def _depthwise_sums(x: Any, weight: Any) -> list[Workspace]:
    """Large depthwise filters (ConvNeXt's 7 × 7) in float32 take about nine times their input."""
    if x.element_size() < 4 or weight[0][0].numel() < 49 or math.prod(x.shape[2:]) < 784:
        return []
    return [((9 * x.numel(),), partial(_elements, 4))]


def _pointwise_sums(shape: Shape) -> int:
    k, copies, filters = shape
    return k * filters if k * filters <= 32 * MIB else min(k * filters, k * copies)


def _filter_sums(shape: Shape) -> int:
    k, copies, filters = shape
    return k * copies + min(max(16 * filters, 2 * MIB), max(9 * MIB, filters))


def is_depthwise(weight: Any, groups: int) -> bool:
    """Whether every channel is filtered by itself."""
    return groups > 1 and groups == weight.shape[0]


def _is_pointwise(weight: Any, stride: Any) -> bool:
    return all(s == 1 for s in stride) and all(n == 1 for n in weight.shape[2:])


def _is_aligned(x: Any, weight: Any) -> bool:
    """Whether pixels and channels can be read in groups without a copy."""
    pixels = math.prod(x.shape[2:])
    return pixels == 1 or all(n % 4 == 0 for n in (pixels, *weight.shape[:2]))


def _sum(args: Any, result: Any) -> list[Workspace]:
    """Sums over leading dimensions (the gradients of biases) go through a buffer of partial sums."""
    x, outputs = args[0], result.numel()
    if outputs < 32 or not x.numel() or not x.is_contiguous() or x.shape[-1] != result.shape[-1]:
        return []
    return [((x.numel() // outputs, outputs), _partial_sums)]


def _partial_sums(shape: Shape) -> int:
    # setReduceConfig in ATen/native/cuda/Reduce.cuh: blocks of 32 × 4 threads, each thread four outputs wide.
    reduced, outputs = shape
    per_thread = -(-reduced // 4)
    if per_thread < 16:
        return 0
    blocks, across = SM_COUNT * THREADS_PER_SM // 128, -(-outputs // 128)
    splits = max(min(-(-blocks // across), -(-per_thread // 16)), -(-per_thread // 256))
    return outputs * splits * 128 * 4 if splits > 1 else 0


def _attention_backward(args: Any, result: Any) -> list[Workspace]:
    """The delta of the backward pass, and the gradients in float32 where they are gathered, in blocks of 64."""
    query = args[1]
    *outer, length, width = query.shape
    gathered = (*outer, -(-length // 64) * 64, width)
    return [(tuple(query.shape), partial(_elements, query.element_size())), (gathered, partial(_elements, 4))]


def _embedding_backward(args: Any, result: Any) -> list[Workspace]:
    """More than 3,072 indices are sorted first, and gradients summed by segments."""
    grad, indices = args[0], args[1]
    width = grad.numel() // max(1, indices.numel())
    return [((indices.numel(), width), _sorted_gradients), ((indices.numel(),), _sorted_indices)]


def _sorted_gradients(shape: Shape) -> int:
    return 4 * math.prod(shape) if shape[0] > 3072 else 0


def _sorted_indices(shape: Shape) -> int:
    return 80 * shape[0] if shape[0] > 3072 else 0


def matrix_exponential(args: Any, result: Any) -> list[Workspace]:
    """The powers of which PyTorch sums it, on every device: twelve matrices beside the result."""
    return [((12 * result.numel(),), partial(_elements, result.element_size()))]


def _elements(item_bytes: int, shape: Shape) -> int:
    return item_bytes * math.prod(shape)


_RULES: dict[str, Callable[[Any, Any], list[Workspace]]] = {
    "aten.convolution": _convolution,
    "aten._convolution": _convolution,  # the same, in a model that torch.jit traced
    "aten.convolution_backward": _convolution_backward,
    "aten.sum": _sum,
    "aten._scaled_dot_product_efficient_attention_backward": _attention_backward,
    "aten._scaled_dot_product_flash_attention_backward": _attention_backward,
    "aten.embedding_dense_backward": _embedding_backward,
    "aten.linalg_matrix_exp": matrix_exponential,
}
