"""Which modules of a model train and which evaluate, as a training loop leaves them; some optimizers have modes too.

A schedule-free optimizer (Defazio et al. 2024) has other weights in the model while it trains than those that are to be
evaluated; its ``train()`` and ``eval()`` change them over, and it refuses to step in evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn


class Modes:
    """Puts models, and optimizers that have modes, in training, as a loop does before its first step.

    Args:
        models: Whose modules' modes are set.
        optimizers: Of the models.
    """

    def __init__(self, models: Sequence[nn.Module], optimizers: Sequence[Any] = ()) -> None:
        self._models, self._optimizers = models, [o for o in optimizers if _has_modes(o)]
        for optimizer in self._optimizers:
            optimizer.train()
        for model in models:
            put_in_training(model)
        self._modes = [(m, m.training) for model in models for m in model.modules()]

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside, all evaluate; afterwards each module has the mode it trains in."""
        try:
            for part in (*self._optimizers, *self._models):
                part.eval()
            yield
        finally:
            for optimizer in self._optimizers:
                optimizer.train()
            for model in self._models:
                put_in_training(model)  # a train() of the user's own may undo more than the modes
            for module, mode in self._modes:
                module.training = mode


def put_in_training(model: nn.Module) -> None:
    """The modules that a loop's ``model.train()`` leads to, called only where it is wanted.

    That is where the model was evaluated last, or ``train`` is the user's own, such as one that keeps BatchNorm in
    evaluation mode. Where it is torch's, and only parts are in eval mode, that was on purpose.
    """
    if not model.training or _has_own_train(model):
        model.train()
        return
    for part in model.children():
        if part.training:
            put_in_training(part)


def _has_modes(optimizer: Any) -> bool:
    return callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None))


def _has_own_train(module: nn.Module) -> bool:
    return getattr(module.train, "__func__", None) is not nn.Module.train
