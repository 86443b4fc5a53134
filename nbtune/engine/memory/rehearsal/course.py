"""Which module runs when, in the forward pass and in the backward pass."""

from __future__ import annotations

from bisect import bisect_right

import torch

ELSEWHERE = -1
_LEAVES = 2**63
"""Nodes that add up a parameter's gradient have the largest number there is, whichever module they are for."""


class Course:
    """Notes which module runs.

    In the forward pass modules say so when they are called. In the backward pass none is called, but every node has the
    number it got in the forward pass, which lies within the numbers of one module's call.

    Attributes:
        runs: (index of the next event, module) where another module begins to run; see ``Recording``.
    """

    def __init__(self, runs: list[tuple[int, int]]) -> None:
        self.runs = runs
        self._is_cut = True
        self._numbers: list[int] = []
        self._modules: list[int] = []

    def cut(self) -> None:
        """Another phase begins: what ran before runs no longer."""
        self._is_cut = True

    def turn_to(self, module: int, at: int) -> None:
        """A module is called, or left for the one that called it, in the forward pass."""
        self._number(module)
        self._note(module, at)

    def turn_again(self, module: int) -> None:
        """The same where a checkpoint computes its part again, amid the backward pass."""
        self._number(module if module != ELSEWHERE or not self.runs else self.runs[-1][1])

    def turn_back(self, called: int, at: int) -> None:
        """An operator of the backward pass.

        Args:
            called: Module that is being called by a checkpoint; ``ELSEWHERE`` for none.
        """
        node = torch._C._current_autograd_node()
        number = _LEAVES if node is None else node._sequence_nr()
        if called != ELSEWHERE:
            self._note(called, at)
        elif number < _LEAVES:
            place = bisect_right(self._numbers, number) - 1
            self._note(ELSEWHERE if place < 0 else self._modules[place], at)

    def _number(self, module: int) -> None:
        self._numbers.append(torch._C._autograd._get_sequence_nr())
        self._modules.append(module)

    def _note(self, module: int, at: int) -> None:
        if self._is_cut or self.runs[-1][1] != module:
            self.runs.append((at, module))
        self._is_cut = False
