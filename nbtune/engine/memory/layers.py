"""Which layers take the memory: by type, and by module."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from torch import nn

from .rehearsal.recording import Allocation, Recording

_BY_CLASS = {
    "conv": "convolution", "norm": "normalisation", "pool": "pooling", "drop": "dropout", "embed": "embedding",
    "lstm": "recurrent", "gru": "recurrent", "rnn": "recurrent", "attention": "attention", "linear": "dense",
}  # fmt: skip
_BY_OPERATOR = {
    "cat": "concatenation", "stack": "concatenation", "attention": "attention", "bmm": "attention",
    "softmax": "attention", "convolution": "convolution", "norm": "normalisation", "pool": "pooling",
    "dropout": "dropout", "bernoulli": "dropout", "embedding": "embedding", "addmm": "dense", "mm": "dense",
    "relu": "activation", "gelu": "activation", "silu": "activation", "sigmoid": "activation", "tanh": "activation",
    "threshold": "activation", "leaky": "activation", "nll_loss": "loss", "mse_loss": "loss",
}  # fmt: skip
Owned = list[tuple[str, type[nn.Module], int]]
_ACTIVATIONS = ("torch.nn.modules.activation", "transformers.activations")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShare:
    """What layers of one type take.

    Attributes:
        kind: "convolution", "dense", "normalisation" …
        count: How many modules there are of it, or, for what is no module (concatenation), how many results.
        example: The most frequent class.
        parameter_bytes, activation_bytes: The latter at the moment when activations take most.
    """

    kind: str
    count: int
    example: str
    parameter_bytes: int
    activation_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleShare:
    """What one type of layers takes inside one block of the model.

    Attributes:
        group: Path of the block, such as "features.denseblock1"; "" for what lies outside all.
    """

    group: str
    kind: str
    activation_bytes: int
    parameter_bytes: int


def layer_shares(recording: Recording, in_use: dict[int, int], owned: Owned) -> tuple[LayerShare, ...]:
    """By type of layer, the largest share of activations first."""
    activations: Counter[str] = Counter()
    results: Counter[str] = Counter()
    for allocation, size in _activations(recording, in_use):
        kind = kind_of(recording, allocation)
        activations[kind] += size
        results[kind] += 1
    parameters: Counter[str] = Counter()
    classes: dict[str, Counter[str]] = {}
    for _, cls, own in owned:
        of_class = _kind_of_class(cls)
        if of_class is not None or own:
            parameters[of_class or "other"] += own
            classes.setdefault(of_class or "other", Counter())[cls.__name__] += 1
    shares = []
    for kind in {*activations, *classes}:
        found = classes.get(kind, Counter())
        example = found.most_common(1)[0][0] if found else {"concatenation": "joins"}.get(kind, "")
        shares.append(
            LayerShare(
                kind=kind, count=sum(found.values()) or results[kind], example=example,
                parameter_bytes=parameters[kind], activation_bytes=activations[kind],
            )
        )  # fmt: skip
    shares = [s for s in shares if s.parameter_bytes or s.activation_bytes]
    return tuple(sorted(shares, key=lambda s: (-s.activation_bytes, -s.parameter_bytes, s.kind)))


def module_shares(recording: Recording, in_use: dict[int, int], owned: Owned) -> tuple[ModuleShare, ...]:
    """By block and type of layer, the largest first; blocks are split until none holds most of the activations."""
    paths: Counter[tuple[str, str]] = Counter()
    for allocation, size in _activations(recording, in_use):
        path = recording.modules[allocation.module][0] if allocation.module >= 0 else ""
        paths[path, kind_of(recording, allocation)] += size
    held: Counter[tuple[str, str]] = Counter()
    for path, cls, own in owned:
        held[path, _kind_of_class(cls) or "other"] += own
    groups = _groups(paths)
    shares: dict[tuple[str, str], list[int]] = {}
    for column, sizes in enumerate((paths, held)):
        for (path, kind), size in sizes.items():
            shares.setdefault((_group_of(path, groups), kind), [0, 0])[column] += size
    made = [
        ModuleShare(group=group, kind=kind, activation_bytes=sizes[0], parameter_bytes=sizes[1])
        for (group, kind), sizes in shares.items()
        if any(sizes)
    ]
    return tuple(sorted(made, key=lambda s: (-s.activation_bytes, -s.parameter_bytes, s.group, s.kind)))


def kind_of(recording: Recording, allocation: Allocation) -> str:
    """The type of layer that made an allocation: what it did, if that says it, else its module's class."""
    operator = allocation.operator.rpartition(".")[2]
    if operator in ("cat", "stack"):
        return "concatenation"
    by_class = _kind_of_class(recording.modules[allocation.module][1]) if allocation.module >= 0 else None
    if by_class is not None:
        return by_class
    if allocation.module < 0 and "softmax" in operator:
        return "loss"
    return next((kind for word, kind in _BY_OPERATOR.items() if word in operator), "other")


def _kind_of_class(cls: type[nn.Module]) -> str | None:
    if cls.__module__.startswith(_ACTIVATIONS) and "Attention" not in cls.__name__:
        return "activation"
    if "." in cls.__module__ and not cls.__module__.startswith("torch.nn") and "Norm" not in cls.__name__:
        return "dense" if cls.__name__ == "Conv1D" else None  # transformers' Conv1D is a dense layer
    name = cls.__name__.lower()
    return next((kind for word, kind in _BY_CLASS.items() if word in name), None)


def _activations(recording: Recording, in_use: dict[int, int]) -> list[tuple[Allocation, int]]:
    found = [(recording.allocations[index], size) for index, size in in_use.items()]
    return [(allocation, size) for allocation, size in found if allocation.part == "activations"]


def owned_parameters(models: dict[str, nn.Module]) -> Owned:
    """Path, class and bytes of its own parameters of every module; shared ones count where they come first."""
    seen: set[int] = set()
    found = []
    for root, model in models.items():
        for path, module in model.named_modules(prefix=root):
            own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
            seen.update(map(id, own))
            found.append((path, type(module), sum(p.nbytes for p in own)))
    return found


def _groups(paths: Counter[tuple[str, str]]) -> list[str]:
    """Blocks of the model: its children, and where one child holds most, the children of that one."""
    total = sum(paths.values())
    groups = {path.split(".")[0] for path, _ in paths}
    while True:
        held = {g: sum(size for (path, _), size in paths.items() if _is_in(path, g)) for g in groups}
        largest = max(held, key=held.__getitem__, default="")
        inside = {_child(path, largest) for path, _ in paths if _is_in(path, largest)} - {largest}
        if not largest or held[largest] <= total / 2 or not inside or len(groups) + len(inside) > 40:
            return sorted(groups, key=len, reverse=True)
        groups |= inside
        groups.discard(largest)


def _child(path: str, group: str) -> str:
    rest = path.removeprefix(group).removeprefix(".")
    return f"{group}.{rest.split('.')[0]}" if rest else group


def _is_in(path: str, group: str) -> bool:
    return path == group or path.startswith(f"{group}.")


def _group_of(path: str, groups: list[str]) -> str:
    return next((group for group in groups if _is_in(path, group)), path.rpartition(".")[0])
