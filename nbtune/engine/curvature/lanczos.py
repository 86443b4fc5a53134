"""The largest eigenvalue of a symmetric matrix that only multiplies vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

_ROUNDED = 1e-5
"""What is left of a vector, relative to the matrix, that is nothing but rounding."""


@dataclass(frozen=True, slots=True)
class Eigenvalue:
    """An estimate of the largest (most positive) eigenvalue.

    Attributes:
        value: Never above the largest, but for rounding.
        error: An eigenvalue lies within this of ``value``: the residual of its vector. Its own error is about the
            square of it, over the gap to the next eigenvalue.
        products: Taken.
    """

    value: float
    error: float
    products: int

    @property
    def relative_error(self) -> float:
        """``error`` over the value's size; 0 where both are 0."""
        return self.error / abs(self.value) if self.value else float(self.error > 0)


def largest_eigenvalue(
    times: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    *,
    products: int,
    is_enough: Callable[[Eigenvalue], bool],
    store: torch.device | None = None,
) -> Eigenvalue:
    """Lanczos' method with full reorthogonalization: the largest eigenvalue within the Krylov space of ``start``.

    Args:
        times: The symmetric matrix times a vector of shape (n,), as a new tensor.
        start: Shape (n,), not 0, with a part along every eigenvector, as a random one has.
        products: At most, ≥ 1.
        is_enough: Whether an estimate will do; asked after each product.
        store: Where the ``products`` vectors are kept; None for where ``start`` is.
    Returns:
        The estimate; NaN as soon as a product is not finite.

    Source: Golub and Van Loan, Matrix Computations, chapter 10.
    """
    vector = start / start.norm()
    basis: list[torch.Tensor] = []
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        product = times(vector)
        diagonal.append(float(vector @ product))
        basis.append(vector if store is None else vector.to(store))
        before, rest = math.inf, float(product.norm())
        while rest < 0.1 * before:  # a second time where much was taken off, and rounding stands out
            for earlier in basis:
                other = earlier.to(product.device)
                product.addcmul_(other, other @ product, value=-1)
            before, rest = rest, float(product.norm())
        if not math.isfinite(rest + diagonal[-1]):
            return Eigenvalue(math.nan, math.inf, len(diagonal))
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        is_whole = rest <= _ROUNDED * float(np.abs(values).max())
        found = Eigenvalue(float(values[-1]), 0.0 if is_whole else rest * abs(float(vectors[-1, -1])), len(diagonal))
        if is_whole or len(diagonal) >= products or is_enough(found):
            return found
        beside.append(rest)
        vector = product / rest
