"""The Hessian as an optimizer sees it: scaled by its groups' rates and by what it divides by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .hessian import Hessian
from .limits import Rule, is_warm, preconditioner, weight_decay_of

SCALING_BATCHES = 8
"""Batches whose squared gradients stand for those that an adaptive optimizer has not seen yet. On the benchmarks' tasks
32 give the same limit within a factor of 1.5 (once 2.5), a single one a limit up to 75 times lower."""


class ScaledHessian:
    """S(H + weight decay)S, symmetric, with the eigenvalues of the matrix that a step of η = 1 multiplies weights with.

    S² holds each weight's rate as a ratio to the first group's, divided by what the optimizer divides by. H is negated
    where it maximizes; decoupled weight decay is left out.

    Args:
        hessian: H.
        optimizer: Of the workpiece.
        groups: Its groups that train; ``hessian`` is over their parameters that do. Their rates are ratios.
        rule: Of the optimizer.
    Attributes:
        scale: S, shape (n,); 0 for weights that do not count.
    """

    def __init__(self, hessian: Hessian, optimizer: Any, groups: list[dict[str, Any]], rule: Rule) -> None:
        self._hessian, self._state, self._kind = hessian, optimizer.state, rule.kind
        self._trained = [(p, group) for group in groups for p in group["params"] if p.requires_grad]
        self._sign = self._each(lambda group: -1.0 if group.get("maximize") else 1.0)
        self._decay = self._each(lambda group: weight_decay_of(optimizer, group))
        self.scale = self._each(lambda group: float(group["lr"])).sqrt_()

    def precondition(self, samples: list[Any], draw: Callable[[], Any]) -> int:
        """Divide by the optimizer's scaling, of its own state or, where it has none yet, of fresh gradients.

        Args:
            samples: Batches that are there already; they come first.
            draw: Gives another.
        Returns:
            How many batches gradients were taken of; 0 where the state was enough.
        """
        count, parts = 0, list[Any]([None] * len(self._trained))
        if not all(is_warm(self._state.get(p, {})) for p, _ in self._trained):
            count = max(SCALING_BATCHES, len(samples))
            weights = torch.cat([p.detach().reshape(-1) for p, _ in self._trained])
            squares = torch.zeros_like(self.scale)
            for index in range(count):
                gradient = self._hessian.gradient(samples[index] if index < len(samples) else draw())
                squares += (self._sign * gradient + self._decay * weights).square() / count
            parts = squares.split([p.numel() for p, _ in self._trained])
        divisors = [
            preconditioner(self._kind, group, state, None if is_warm(state) else part.view(p.shape)).reshape(-1)
            for (p, group), part in zip(self._trained, parts, strict=True)
            for state in [self._state.get(p, {})]
        ]
        divisor = torch.cat(divisors).to(self.scale.dtype)
        # A weight that no gradient has reached so far does not count.
        self.scale = torch.where(divisor > 0, self.scale / divisor.sqrt(), torch.zeros_like(divisor))
        return count

    def times(self, vector: torch.Tensor) -> torch.Tensor:
        """The matrix times a vector, shape (n,), as a new tensor."""
        moved = self.scale * vector
        return self.scale * (self._sign * self._hessian.times(moved) + self._decay * moved)

    def _each(self, value_of: Callable[[dict[str, Any]], float]) -> torch.Tensor:
        made = [
            torch.full((p.numel(),), value_of(g), dtype=self._hessian.dtype, device=p.device) for p, g in self._trained
        ]
        return torch.cat(made)
