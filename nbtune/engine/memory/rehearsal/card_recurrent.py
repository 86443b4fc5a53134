"""Recurrent layers as a card computes them: the buffers of cuDNN."""

from __future__ import annotations

from typing import Any

import torch


def card_lstm(
    x: Any, state: Any, weights: Any, has_biases: bool, layers: int, dropout: float, train: bool, two_ways: bool,
    batch_first: bool,
) -> Any:  # fmt: skip
    """What ``torch.lstm`` gives, with cuDNN's buffers."""
    if not isinstance(x, torch.Tensor) or not isinstance(state, (list, tuple)):
        return torch.lstm(x, state, weights, has_biases, layers, dropout, train, two_ways, batch_first)
    y, h = _OnCard.apply(x, state[0], 5, layers, two_ways, batch_first, state[0].shape[-1], *weights)
    return y, h, torch.empty_like(state[1])


def card_gru(
    x: Any, state: Any, weights: Any, has_biases: bool, layers: int, dropout: float, train: bool, two_ways: bool,
    batch_first: bool,
) -> Any:  # fmt: skip
    """What ``torch.gru`` gives, with cuDNN's buffers."""
    return _OnCard.apply(x, state, 5, layers, two_ways, batch_first, state.shape[-1], *weights)


class _OnCard(torch.autograd.Function):
    """cuDNN's recurrent layers: one reserve buffer kept for backward, one workspace in each direction.

    Measured on an H100 for LSTM, in units of one layer's outputs: the reserve is 5 per layer and one more between two
    layers; the workspace is 8, and in float32 1.75 times the weights beside. GRU is taken to be the same.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Any, h: Any, per_layer: int, layers: int, two_ways: bool, batch_first: bool, width: int,
        *weights: Any,
    ) -> Any:  # fmt: skip
        ways = 2 if two_ways else 1
        length, count = (x.shape[1], x.shape[0]) if batch_first else (x.shape[0], x.shape[1])
        y = x.new_empty((*x.shape[:2], ways * width))
        cells = layers * ways * per_layer + (layers - 1) * ways
        _workspace(x, length, count, width, weights)
        reserve = x.new_empty((length * cells + 8, count, width))
        ctx.save_for_backward(x, y, reserve, h, *weights)
        ctx.length, ctx.count, ctx.width = length, count, width
        return y, h.new_empty(h.shape)

    @staticmethod
    def backward(ctx: Any, grad: Any, grad_h: Any) -> Any:
        x, _, _, h, *weights = ctx.saved_tensors
        dx = torch.empty_like(x)
        _workspace(x, ctx.length, ctx.count, ctx.width, weights)
        grads = [torch.empty_like(w) for w in weights]
        _workspace(x, ctx.length, ctx.count, ctx.width, weights)
        return (dx, torch.empty_like(h), None, None, None, None, None, *grads)


def _workspace(x: Any, length: int, count: int, width: int, weights: Any) -> None:
    copies = 7 * sum(w.numel() for w in weights) // 4 if x.element_size() == 4 else 0
    x.new_empty((8 * length + 12) * count * width + copies)
