"""The device that a rehearsal plays: what the user's step asks of "cuda", and of the device its model is on."""

from __future__ import annotations

from typing import Any

import torch

from ...errors import text_of

_MADE_ANEW = frozenset({
    torch.rand, torch.randn, torch.randint, torch.randperm, torch.zeros, torch.ones, torch.empty,
    torch.full, torch.arange, torch.linspace, torch.eye,
})  # fmt: skip
"""What makes tensors where the step says, or where its model is if it says nothing. Not ``torch.tensor``: lengths for
packed sequences and an optimizer's counters stay on the host on every device."""
_NAMES_DEVICE = frozenset({"to", "type", "new_zeros", "new_ones", "new_empty", "new_full", "new_tensor"})
_NO_CUDA = (
    "Torch not compiled with CUDA",
    "Found no NVIDIA driver",
    "No CUDA GPUs",
    "without ATen_cuda",
    "CUDA support",
)


class Place:
    """Stands for devices.

    Args:
        stage_device: Where the tensors without numbers are.
        home: Where the user's model is.
        is_cuda: Whether a CUDA card is played; else "cuda" is left to fail as it would on the host.
    Attributes:
        has_asked_for_cuda: Whether the step has named it.
    """

    def __init__(self, stage_device: torch.device, home: torch.device, *, is_cuda: bool) -> None:
        self._device, self._home, self._is_cuda = stage_device, home, is_cuda
        self.has_asked_for_cuda = False

    def taken(self, func: Any, name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Arguments in which the played device stands for the ones that were named."""
        if self._is_cuda and self._names_cuda(func, name, args, kwargs):
            self.has_asked_for_cuda = True
            args = tuple(self._device if _is_cuda(x) else x for x in args)
            kwargs = {key: self._device if _is_cuda(x) else x for key, x in kwargs.items()}
        elif func in _MADE_ANEW and self._is_home(kwargs.get("device")) and not _is_bound(kwargs):
            kwargs = {**kwargs, "device": self._device}
        return args, kwargs

    def cuda(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """What ``tensor.cuda()`` gives; None where no card is played."""
        self.has_asked_for_cuda = True
        return tensor.to(self._device) if self._is_cuda else None

    def _names_cuda(self, func: Any, name: str, args: Any, kwargs: Any) -> bool:
        if _is_cuda(kwargs.get("device")):
            return True
        return name in _NAMES_DEVICE and any(map(_is_cuda, args[1:]))

    def _is_home(self, device: Any) -> bool:
        if self._home.type != "cpu":  # there what is made on the host stays there
            return False
        return device is None or str(device) == "cpu"


def _is_bound(kwargs: Any) -> bool:
    """Whether a tensor is made of something that is on the host for good."""
    return any(kwargs.get(name) is not None for name in ("generator", "out")) or bool(kwargs.get("pin_memory"))


def _is_cuda(value: Any) -> bool:
    if isinstance(value, torch.device):
        return value.type == "cuda"
    return isinstance(value, str) and value.partition(":")[0] == "cuda"


def is_without_cuda(error: BaseException) -> bool:
    """Whether an error says that this machine has no CUDA, where it has none."""
    return not torch.cuda.is_available() and any(words in text_of(error) for words in _NO_CUDA)
