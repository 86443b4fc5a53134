"""Rectangles whose areas are shares: groups, a header on each, and what is in them. Knows no Bokeh."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...formats import format_mib
from ..base.labels import text_px

if TYPE_CHECKING:
    from ...engine.memory import ModuleShare

WIDTH, HEIGHT = 386.0, 244.0
HEADER = 20.0
MOST_GROUPS = 24
SMALL, ALL_SMALL = 0.05, 0.125
"""Groups of less than the one share of the whole, and a quarter of the largest, are drawn as one, up to the other share
together: equal layers stay apart."""

HEADER_PX = 6.3
"""Of a letter in a header."""

MIB = 2**20
SHORT = {
    "normalisation": "norm", "convolution": "conv", "concatenation": "join", "pooling": "pool",
    "embedding": "embed", "activation": "act",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rect:
    """In px from the top left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Tile:
    """What one kind of layer takes in one group.

    Attributes:
        rank: Of the kind among all, 0 for the one that takes most.
        lines: One or two lines of text, or none where there is no room.
    """

    rect: Rect
    group: str
    kind: str
    activation_bytes: int
    rank: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A group with its tiles; ``header`` is empty where there is no room for one."""

    rect: Rect
    header: str
    tiles: tuple[Tile, ...]


def squarify(areas: Sequence[float], rect: Rect) -> list[Rect]:
    """Divide ``rect`` in proportion to ``areas``, in rectangles as near to squares as they come.

    Args:
        areas: Positive, in descending order; of any sum.
        rect: To be filled whole.
    Source:
        Bruls, Huizing, van Wijk: Squarified treemaps (2000).

    Examples:
        >>> [(r.x, r.y, r.width, r.height) for r in squarify([2, 1, 1], Rect(0, 0, 4, 2))]
        [(0, 0.0, 2.0, 2.0), (2.0, 0.0, 2.0, 1.0), (2.0, 1.0, 2.0, 1.0)]
    """
    rects: list[Rect] = []
    rest = list(areas)
    while rest:
        scale = rect.width * rect.height / sum(rest)
        side = min(rect.width, rect.height)
        count = 1
        while count < len(rest) and _worst(rest[: count + 1], scale, side) <= _worst(rest[:count], scale, side):
            count += 1
        row, rest = rest[:count], rest[count:]
        strip, rect = _cut(rect, sum(row) / (sum(row) + sum(rest)))
        rects += _divide(strip, row)
    return rects


def _worst(row: Sequence[float], scale: float, side: float) -> float:
    """The longest sides' ratio in a row laid along ``side``."""
    thickness = scale * sum(row) / side
    lengths = [scale * area / thickness for area in row] if thickness else [0.0]
    return max(max(thickness / length, length / thickness) if length else float("inf") for length in lengths)


def _cut(rect: Rect, share: float) -> tuple[Rect, Rect]:
    """A strip along the shorter side, and what is left."""
    if rect.width >= rect.height:
        width = rect.width * share
        return Rect(rect.x, rect.y, width, rect.height), Rect(rect.x + width, rect.y, rect.width - width, rect.height)
    height = rect.height * share
    return Rect(rect.x, rect.y, rect.width, height), Rect(rect.x, rect.y + height, rect.width, rect.height - height)


def _divide(strip: Rect, row: Sequence[float]) -> list[Rect]:
    rects, done, whole = [], 0.0, sum(row)
    for area in row:
        share, before = area / whole, done / whole
        if strip.width <= strip.height:
            rects.append(Rect(strip.x, strip.y + before * strip.height, strip.width, share * strip.height))
        else:
            rects.append(Rect(strip.x + before * strip.width, strip.y, share * strip.width, strip.height))
        done += area
    return rects


def group_name(name: str) -> str:
    """A module's name as words.

    Examples:
        >>> [group_name(n) for n in ("features.denseblock1", "encoder.layer.0", "layer4", "3", "")]
        ['dense block 1', 'layer 0', 'layer 4', 'layer 3', 'model']
    """
    parts = name.split(".") if not name.isdigit() else ["layer", name]  # of a bare nn.Sequential
    words = " ".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]
    words = re.sub(r"(?<=[a-z])(block|layer|stage)", r" \1", words.replace("_", " "))
    return re.sub(r"(?<=[a-z])(?=\d)", " ", words).strip() or "model"


def treemap(modules: Sequence[ModuleShare]) -> list[Group]:
    """Groups by what their activations take, largest first; the smallest share one place.

    Args:
        modules: Of one batch size.
    """
    groups = _grouped(modules)
    totals = {name: sum(kinds.values()) for name, kinds in groups.items()}
    by_kind: dict[str, int] = {}
    for kinds in groups.values():
        for kind, size in kinds.items():
            by_kind[kind] = by_kind.get(kind, 0) + size
    ranks = {kind: rank for rank, kind in enumerate(sorted(by_kind, key=lambda kind: -by_kind[kind]))}
    names = sorted(totals, key=lambda name: -totals[name])
    rects = squarify([totals[name] for name in names], Rect(0, 0, WIDTH, HEIGHT))
    return [_group(name, groups[name], rect, ranks) for name, rect in zip(names, rects, strict=True)]


def _grouped(modules: Sequence[ModuleShare]) -> dict[str, dict[str, int]]:
    groups: dict[str, dict[str, int]] = {}
    for module in modules:
        if module.activation_bytes > 0:
            kinds = groups.setdefault(group_name(module.group), {})
            kinds[module.kind] = kinds.get(module.kind, 0) + module.activation_bytes
    small = _small({name: sum(kinds.values()) for name, kinds in groups.items()})
    if len(small) < 2:
        return groups
    others: dict[str, int] = {}
    for name in small:
        for kind, size in groups.pop(name).items():
            others[kind] = others.get(kind, 0) + size
    return {**groups, f"{len(small)} others": others}


def _small(totals: dict[str, int]) -> list[str]:
    """Names of the groups that have no place of their own."""
    names, whole, done = sorted(totals, key=lambda name: totals[name]), sum(totals.values()), 0
    small = names[: max(0, len(names) - MOST_GROUPS + 1)]
    limit = min(SMALL * whole, max(totals.values(), default=0) / 4)
    for name in names:
        done += totals[name]
        if totals[name] < limit and done <= ALL_SMALL * whole and name not in small:
            small.append(name)
    return small


def _group(name: str, kinds: dict[str, int], rect: Rect, ranks: dict[str, int]) -> Group:
    header = _header(name, sum(kinds.values()), rect)
    above = HEADER if header else 0.0
    inside = Rect(rect.x, rect.y + above, rect.width, rect.height - above)
    ordered = sorted(kinds, key=lambda kind: -kinds[kind])
    tiles = []
    for kind, tile in zip(ordered, squarify([kinds[kind] for kind in ordered], inside), strict=True):
        tiles.append(Tile(tile, name, kind, kinds[kind], ranks[kind], _lines(kind, kinds[kind], tile)))
    return Group(rect, header, tuple(tiles))


def _header(name: str, size: int, rect: Rect) -> str:
    if rect.height < 2 * HEADER:
        return ""
    room = int((rect.width - 6) / HEADER_PX)
    short = " ".join(name.split()[-2:])
    number = format_mib(size)
    for text in (f"{name} · {number}", f"{short} · {number}", name, short):
        if len(text) <= room:
            return text
    return f"{short[: room - 1]}…" if room >= 5 else ""


def _lines(kind: str, size: int, rect: Rect) -> tuple[str, ...]:
    name, number = SHORT.get(kind, kind), format_mib(size)
    if max(text_px(name), text_px(number)) + 8 > rect.width:
        return ()
    if rect.height >= 38:
        return (name, number)
    one = f"{name} {number}"
    if rect.height < 20:
        return ()
    return (one,) if text_px(one) + 8 <= rect.width else (name,)
