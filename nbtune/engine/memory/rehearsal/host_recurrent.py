"""PyTorch's recurrent layers as the host computes them: oneDNN's LSTM, and the others step by step.

Source: ATen/native/RNN.cpp and ATen/native/mkldnn/RNN.cpp of PyTorch 2.13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

_PAGE_BYTES = 4096
_SCRATCH_BYTES = 4664
NAMES = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
Run = Callable[[Any, int], tuple[Any, Any]]


def host_recurrent(
    name: str, x: Any, state: Any, weights: Any, has_biases: bool, layers: int, dropout: float, train: bool,
    two_ways: bool, batch_first: bool,
) -> Any:  # fmt: skip
    """What ``torch.lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu`` give, layer by layer and direction by direction.

    Returns:
        NotImplemented for packed sequences and for projections, whose operators are seen one by one.
    """
    per_layer, ways = 4 if has_biases else 2, 2 if two_ways else 1
    are_plain = isinstance(x, torch.Tensor) and isinstance(weights, (list, tuple)) and type(layers) is int
    if not are_plain or len(weights) != per_layer * layers * ways:
        return NotImplemented
    own = [weights[at * per_layer : (at + 1) * per_layer] for at in range(layers * ways)]
    x, last = x.transpose(0, 1) if batch_first else x, list[Any]()
    if name == "lstm":
        x, h, c = x.contiguous(), state[0].contiguous(), state[1].contiguous()
        if not has_biases:  # zeros stand for them, as many as there are weights
            own = [[*pair, *map(torch.zeros_like, pair)] for pair in own]
    for layer in range(layers):
        made, product = [], None  # the last one is let go once both directions are joined
        for at in range(layer * ways, (layer + 1) * ways):
            if name == "lstm":
                y, *new = _OneDNN.apply(x, h[at], c[at], train, *own[at])
            else:
                product = None
                product = F.linear(x, own[at][0], *own[at][2:3])
                y, *new = _stepped(_STEPS[name], product, state[at], own[at], is_reversed=at % ways == 1)
            made.append(y)
            last.append(new)
        x = made[0] if ways == 1 else torch.cat(made, -1)
        del made, y, product
        if dropout and train and layer < layers - 1:
            x = torch.dropout(x, dropout, train)
    y = x.transpose(0, 1) if batch_first else x
    return (y, *(torch.stack(states) for states in zip(*last, strict=True)))


def _stepped(
    step: Callable[[Any, Any, Any], Any], product: Any, h: Any, weights: Sequence[Any], *, is_reversed: bool
) -> tuple[Any, Any]:  # fmt: skip
    """One step follows the other; the inputs of all were multiplied at once."""
    pieces, outputs = product.unbind(0), list[Any]()
    for piece in reversed(pieces) if is_reversed else pieces:
        h = step(piece, h, F.linear(h, weights[1], *weights[3:4]))
        outputs.append(h)
    return torch.stack(outputs), h


def _gru_step(piece: Any, h: Any, product: Any) -> Any:
    of_input, of_state = piece.unsafe_chunk(3, 1), product.unsafe_chunk(3, 1)
    reset = of_state[0].add_(of_input[0]).sigmoid_()
    update = of_state[1].add_(of_input[1]).sigmoid_()
    new = of_input[2].add(of_state[2].mul_(reset)).tanh_()
    return (h - new).mul_(update).add_(new)


_STEPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "gru": _gru_step,
    "rnn_tanh": lambda piece, _, product: product.add_(piece).tanh(),
    "rnn_relu": lambda piece, _, product: product.add_(piece).relu(),
}


class _OneDNN(torch.autograd.Function):
    """One direction of one of oneDNN's LSTM layers in training.

    Its workspace, kept for backward: gates and outputs of every step; states, cells and their gradients, in pairs, of
    every step and one before. Read off a CPU with AVX-512, exact to the page.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, h: Any, c: Any, train: bool, *weights: Any) -> Any:
        (length, count, _), width = x.shape, h.shape[-1]
        y, new_h, new_c = x.new_empty(length, count, width), torch.empty_like(h), torch.empty_like(c)
        bias = x.new_empty(4 * width)
        kept = x.new_empty(_workspace_elements(x, width) if train else 0)
        _copies_and_scratch(x, width)
        del bias
        ctx.save_for_backward(x, h, c, y, new_h, new_c, kept, *weights)
        return y, new_h, new_c

    @staticmethod
    def backward(ctx: Any, grad: Any, grad_h: Any, grad_c: Any) -> Any:
        x, h, c, _, _, _, _, *weights = ctx.saved_tensors
        grad, grad_h, grad_c = grad.contiguous(), grad_h.contiguous(), grad_c.contiguous()
        bias, width = x.new_empty(4 * h.shape[-1]), h.shape[-1]
        dx, dh, dc, *grads = (torch.empty_like(t) for t in (x, h, c, *weights[:2]))
        grads.append(x.new_empty(4 * width))
        padded = [_padded(n) * 4 * width for n in (x.shape[-1], width) if _padded(n) != n]
        held = [x.new_empty(count) for count in padded]
        _copies_and_scratch(x, width)
        del bias, held
        grads.append(grads[-1].clone())
        return (dx, dh, dc, None, *(g if n else None for g, n in zip(grads, ctx.needs_input_grad[4:], strict=True)))


def _workspace_elements(x: torch.Tensor, width: int) -> int:
    length, count, inward = x.shape
    at_each_step = length * (_padded(4 * width) + _padded(width))
    states = (length + 1) * (6 * _padded(max(inward, width)) + 4 * width)
    rounding = 7 * _PAGE_BYTES // 8  # each of seven parts begins on a page, half a page further on average
    return count * (at_each_step + states) + rounding


def _copies_and_scratch(x: torch.Tensor, width: int) -> None:
    """Weights in another order, the gates of all steps, and two states."""
    length, count, inward = x.shape
    gates = _padded(4 * width)
    copies = x.new_empty((inward + width) * gates)
    x.new_empty(count * (length * gates + 2 * _padded(width)) + (_SCRATCH_BYTES + _PAGE_BYTES) // 4)
    del copies


def _padded(count: int) -> int:
    """Elements from one row to the next: whole cache lines, and never so that rows fall on the same ones."""
    lines = -(-count // 16) * 16
    return lines + 16 if lines % 256 == 0 else lines
