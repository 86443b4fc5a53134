"""The blocks that a model repeats: what checkpointing is put around, and what is gathered at once when sharded."""

from __future__ import annotations

from torch import nn


def blocks_of(model: nn.Module, path: str = "") -> dict[str, nn.Module]:
    """The composite members of lists and sequences of layers, the outermost first found, by their paths.

    A model that is a sequence itself is looked through first, since its members are often stages, not blocks.

    Args:
        path: Of the model itself; "" for none.

    Examples:
        >>> block = lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        >>> list(blocks_of(nn.Sequential(nn.Sequential(block(), block()), nn.Linear(2, 2))))
        ['0.0', '0.1']
        >>> list(blocks_of(nn.Sequential(block(), block(), nn.Linear(2, 2)))), blocks_of(nn.Linear(2, 2))
        (['0', '1'], {})
    """
    return _inside(model, path) or _members(model, path)


def _inside(model: nn.Module, path: str) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        here = f"{path}.{name}" if path else name
        found |= _members(child, here) or _inside(child, here)
    return found


def _members(model: nn.Module, path: str) -> dict[str, nn.Module]:
    if not isinstance(model, (nn.Sequential, nn.ModuleList)):
        return {}
    prefix = f"{path}." if path else ""
    return {f"{prefix}{key}": m for key, m in model.named_children() if sum(1 for _ in m.modules()) > 2}
