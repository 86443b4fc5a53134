"""Loss surfaces over two weights, simple enough to know everything about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Point = tuple[float, float]
Matrix = tuple[tuple[Any, Any], tuple[Any, Any]]
"""A symmetric 2 × 2 matrix."""

SAMPLES = 64
"""In the data that every surface is the mean loss of."""

X_RANGE, Y_RANGE = (-5.0, 5.0), (-3.0, 3.0)
"""Of every surface's picture: nothing moves when another surface is chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A smooth loss of the weights (w₁, w₂), 0 at its lowest.

    Attributes:
        name: What it is called.
        loss: At (w₁, w₂); numbers or arrays.
        gradient: (∂L/∂w₁, ∂L/∂w₂) there.
        hessian: The second derivatives there.
        start: Where every descent begins.
        minima: The one nearest to the start first.
        jumped_over: What a step that is too large jumps over, in words.
        noise: Standard deviation of one sample's gradient about the mean of all, along either axis.
        x_range, y_range: The part that is looked at.
    """

    name: str
    loss: Callable[[Any, Any], Any] = field(repr=False)
    gradient: Callable[[Any, Any], tuple[Any, Any]] = field(repr=False)
    hessian: Callable[[Any, Any], Matrix] = field(repr=False)
    start: Point
    minima: tuple[Point, ...]
    jumped_over: str
    noise: float
    x_range: Point = X_RANGE
    y_range: Point = Y_RANGE

    def shows(self, w1: float, w2: float) -> bool:
        """Whether the point lies in the part that is looked at."""
        return self.x_range[0] <= w1 <= self.x_range[1] and self.y_range[0] <= w2 <= self.y_range[1]


def lr_limit(surface: Surface, minimum: int = 0) -> float:
    """2/λmax, the largest η at which gradient descent can settle in a minimum.

    λmax is the largest curvature: along its direction a step multiplies the distance to the minimum by 1 − ηλmax,
    whose size is below 1 only while η < 2/λmax. On a quadratic this holds everywhere; on any other surface only near
    the minimum.

    Args:
        surface: Any.
        minimum: Which of its minima; 0 is the one nearest to the start.

    Examples:
        >>> round(lr_limit(SURFACES["narrow valley"]), 3)
        0.167
    """
    return 2 / curvatures(surface, minimum)[-1]


def curvatures(surface: Surface, minimum: int = 0) -> tuple[float, float]:
    """The smallest and the largest curvature in a minimum: λmin and λmax of its second derivatives."""
    smallest, largest = np.linalg.eigvalsh(np.array(surface.hessian(*surface.minima[minimum]))).tolist()
    return smallest, largest


@dataclass(frozen=True, slots=True)
class _Bowl:
    """height + ½(λ₁(w₁ − c₁)² + λ₂(w₂ − c₂)²)."""

    curvatures: Point
    centre: Point = (0.0, 0.0)
    height: float = 0.0

    def loss(self, w1: Any, w2: Any) -> Any:
        x, y = w1 - self.centre[0], w2 - self.centre[1]
        return self.height + 0.5 * (self.curvatures[0] * x * x + self.curvatures[1] * y * y)

    def gradient(self, w1: Any, w2: Any) -> tuple[Any, Any]:
        return self.curvatures[0] * (w1 - self.centre[0]), self.curvatures[1] * (w2 - self.centre[1])

    def hessian(self, w1: Any, w2: Any) -> Matrix:
        return (self.curvatures[0], 0.0), (0.0, self.curvatures[1])


@dataclass(frozen=True, slots=True)
class _Lower:
    """The lower of two bowls, smooth where they meet: −T log(exp(−a/T) + exp(−b/T))."""

    a: _Bowl
    b: _Bowl
    temperature: float

    def loss(self, w1: Any, w2: Any) -> Any:
        a, b = self.a.loss(w1, w2), self.b.loss(w1, w2)
        return np.minimum(a, b) - self.temperature * np.log1p(np.exp(-np.abs(a - b) / self.temperature))

    def share(self, w1: Any, w2: Any) -> Any:
        """The part that bowl ``a`` has in the gradient: 1 deep inside it, 0 deep inside ``b``."""
        difference = (self.b.loss(w1, w2) - self.a.loss(w1, w2)) / self.temperature
        return 0.5 * (1 + np.tanh(0.5 * difference))

    def gradient(self, w1: Any, w2: Any) -> tuple[Any, Any]:
        p = self.share(w1, w2)
        (a1, a2), (b1, b2) = self.a.gradient(w1, w2), self.b.gradient(w1, w2)
        return p * a1 + (1 - p) * b1, p * a2 + (1 - p) * b2

    def hessian(self, w1: Any, w2: Any) -> Matrix:
        p = self.share(w1, w2)
        (a1, a2), (b1, b2) = self.a.gradient(w1, w2), self.b.gradient(w1, w2)
        # The gradients' spread bends the surface down along the ridge between the bowls.
        d1, d2, spread = a1 - b1, a2 - b2, p * (1 - p) / self.temperature
        bent = -spread * d1 * d2
        return (
            (p * self.a.curvatures[0] + (1 - p) * self.b.curvatures[0] - spread * d1 * d1, bent),
            (bent, p * self.a.curvatures[1] + (1 - p) * self.b.curvatures[1] - spread * d2 * d2),
        )


def _surface(name: str, shape: _Bowl | _Lower, **more: Any) -> Surface:
    return Surface(name=name, loss=shape.loss, gradient=shape.gradient, hessian=shape.hessian, **more)


# The nearer minimum is steep and a little higher; the other is flatter, and so holds an η at which this one lets go.
_STEEP = _Bowl((5.0, 1.6), (-2.0, -0.5), height=0.5)
_FLAT = _Bowl((3.7, 0.7), (2.2, 0.4))

SURFACES: dict[str, Surface] = {
    surface.name: surface
    for surface in (
        _surface(
            "bowl", _Bowl((1.0, 1.0)), start=(-4.0, 1.8), minima=((0.0, 0.0),), jumped_over="the minimum", noise=1.0
        ),
        _surface(
            "narrow valley", _Bowl((1.0, 12.0)), start=(-4.3, 1.25), minima=((0.0, 0.0),),
            jumped_over="the valley floor", noise=4.0,
        ),
        _surface(
            "two minima", _Lower(_STEEP, _FLAT, 0.5), start=(-3.8, 1.8), minima=(_STEEP.centre, _FLAT.centre),
            jumped_over="both minima", noise=2.0,
        ),
    )
}  # fmt: skip
"""By name, the simplest first."""
