"""Where a loader's order stands, and how it is put back."""

from __future__ import annotations

from typing import Any

import torch

from ..interrupts import held_back, to_the_end
from . import generators
from .backup import is_plain


class LoaderState:
    """The generators and samplers behind a loader, put back unless somebody else used them meanwhile."""

    @held_back()
    def __init__(self, loader: Any) -> None:
        samplers = _samplers(loader)
        dataset = getattr(loader, "dataset", None)
        owners = [o for o in (loader, *samplers, dataset) if hasattr(o, "__dict__")]
        kept = [v for owner in owners for v in vars(owner).values()]
        self._generators = list({id(g): g for g in kept if isinstance(g, torch.Generator)}.values())
        self._saved = [g.get_state() for g in self._generators]
        self._left = list(self._saved)
        self._attributes = [(s, {k: v for k, v in vars(s).items() if is_plain(v)}) for s in samplers]
        self._others = [(v, generators.state_of(v)) for v in kept if isinstance(v, generators.NUMPY_OR_PYTHON)]

    @held_back()
    def mark(self) -> None:
        """Note where the run leaves the generators, after each time it drew."""
        self._left = [g.get_state() for g in self._generators]

    def put_back(self) -> None:
        """The state at the start, for each generator that is where ``mark`` saw it last."""
        to_the_end(self._put_back)

    def _put_back(self) -> None:
        for generator, saved, left in zip(self._generators, self._saved, self._left, strict=True):
            if torch.equal(generator.get_state(), left):
                generator.set_state(saved)
        for sampler, attributes in self._attributes:
            vars(sampler).update(attributes)
        for other, state in self._others:
            generators.set_state(other, state)


def _samplers(loader: Any) -> list[Any]:
    found: list[Any] = []
    queue = [getattr(loader, "batch_sampler", None), getattr(loader, "sampler", None)]
    while queue:
        sampler = queue.pop()
        if sampler is not None and hasattr(sampler, "__dict__") and not any(sampler is s for s in found):
            found.append(sampler)
            queue.append(getattr(sampler, "sampler", None))
    return found
