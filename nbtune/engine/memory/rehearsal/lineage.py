"""Which parameter a gradient, an optimizer's state or a temporary of an update belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from .recording import Allocation


class Lineage:
    """Tells allocations which parameter they belong to, by its number.

    Args:
        paths: Filled with the parameters' paths, by number; see ``Recording.parameters``.
        arrived: Filled with the numbers of the parameters whose gradient comes.
        find: The allocation of a tensor; None for one that is not counted.
    """

    def __init__(
        self, paths: list[str], arrived: list[int], find: Callable[[torch.Tensor], Allocation | None]
    ) -> None:  # fmt: skip
        self._paths, self._arrived, self._find = paths, arrived, find
        self._numbers: dict[int, int] = {}
        self._named: list[nn.Parameter] = []  # so that no other tensor gets the identity of one

    def follow(self, models: dict[str, nn.Module]) -> Iterator[Any]:
        """Number the parameters of the models, and see their gradients come.

        Yields:
            Handles of hooks, to be removed.
        """
        for root, model in models.items():
            prefix = f"{root}." if root else ""
            for path, parameter in model.named_parameters():
                if id(parameter) in self._numbers:
                    continue
                number = self._numbers[id(parameter)] = len(self._paths)
                self._paths.append(prefix + path)
                self._named.append(parameter)
                if parameter.requires_grad:
                    yield parameter.register_hook(partial(self._arrive, number))

    def _arrive(self, number: int, gradient: torch.Tensor) -> None:
        self._arrived.append(number)
        self._claim(number, gradient)

    def number_of(self, tensor: torch.Tensor) -> int:
        """Of a parameter; -1 for any other tensor."""
        return self._numbers.get(id(tensor), -1)

    def of_update(self, parameter: Any, tensors: Any) -> None:
        """What an optimizer keeps for a parameter, or the gradient it finds."""
        number = self.number_of(parameter)
        for tensor in tensors:
            if isinstance(tensor, torch.Tensor):
                self._claim(number, tensor)

    def inherit(self, args: Any, result: Any) -> None:
        """What an operator of an update makes belongs to the parameter of its first tensor, list by list."""
        is_list = isinstance(result, (list, tuple))
        sources = next((a for a in args if isinstance(a, (list, tuple) if is_list else torch.Tensor)), ())
        pairs = zip(result, sources, strict=False) if is_list else ((result, sources),)
        for made, source in pairs:
            if isinstance(made, torch.Tensor) and isinstance(source, torch.Tensor):
                found = self._find(source)
                if found is not None:
                    self._claim(found.of, made)

    def _claim(self, number: int, tensor: torch.Tensor) -> None:
        found = self._find(tensor)
        if found is not None and found.of < 0 and found.part != "parameters":
            found.of = number
