"""What the plot of memory by batch size shows at one moment, in columns and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...formats import format_gib
from ..base.columns import Columns, View, floats, table
from ..base.typed_again import PARTS
from .labels import FRAME_WIDTHS, memory_labels
from .scene import BAR, GIB, Bar, MemoryScene, scene_of

if TYPE_CHECKING:
    from ...engine.batch_size.limit import BatchLimit

EDGES = tuple(f"edge{i}" for i in range(len(PARTS) + 1))
"""Lower edge of each part from below, and the upper end."""

THINNEST_PX = 4.0
"""A part thinner than this is not parted from its neighbour: the line would hide it."""


def memory_view(limit: BatchLimit, running: bool = False) -> View:
    """Every mark of the figure for what is known of ``limit``.

    Args:
        limit: Of any number of trials, also none.
        running: Whether more are coming: then the answer is not marked.
    """
    return view_of(scene_of(limit, running))


def view_of(scene: MemoryScene) -> View:
    """The same for a scene from elsewhere, such as an estimate."""
    columns = {**_bar_columns(scene), **_mark_columns(scene), "hit": _hit_columns(scene)}
    for prefix in FRAME_WIDTHS:
        columns |= memory_labels(scene, prefix)
    return View(columns, (0.0, scene.top), _in_words(scene))


def _bar_columns(scene: MemoryScene) -> dict[str, Columns]:
    split = [bar for bar in scene.bars if bar.fits and bar.parts]
    whole = [bar for bar in scene.bars if bar.fits and not bar.parts and bar.peak_bytes is not None]
    columns = {}
    for name, is_measured in (("measured", True), ("predicted", False)):
        columns[name] = _stacks(scene, [bar for bar in split if bar.is_measured is is_measured])
        columns[f"{name}_whole"] = _boxes(scene, [bar for bar in whole if bar.is_measured is is_measured])
    columns["outline"] = _boxes(scene, [bar for bar in scene.bars if bar.fits and not bar.is_measured])
    columns["slower"] = _boxes(scene, [bar for bar in scene.bars if bar.is_slower])
    columns["too_big"] = _boxes(scene, [bar for bar in scene.bars if not bar.fits and not bar.is_slower])
    columns["partings"] = _partings(scene, split)
    return columns


def _stacks(scene: MemoryScene, bars: list[Bar]) -> Columns:
    return table([(scene.x(bar), *_edges(bar)) for bar in bars], ("x", *EDGES))


def _edges(bar: Bar) -> list[float]:
    """GiB at which each part begins, and at which the last ends."""
    return [float(edge) for edge in np.cumsum([0, *(size for _, size in bar.parts)]) / GIB]


def _boxes(scene: MemoryScene, bars: list[Bar]) -> Columns:
    return {"x": floats([scene.x(bar) for bar in bars]), "top": floats([scene.height(bar) for bar in bars])}


def _partings(scene: MemoryScene, bars: list[Bar]) -> Columns:
    rows = [(scene.x(bar), y) for bar in bars for y in _parting_heights(_edges(bar), THINNEST_PX * scene.gib_of_px)]
    return table([(x - BAR / 2, x + BAR / 2, y) for x, y in rows], ("left", "right", "y"))


def _parting_heights(edges: list[float], thinnest: float) -> Iterator[float]:
    last = edges[0]
    for edge in edges[1:-1]:
        if edge - last >= thinnest and edges[-1] - edge >= thinnest / 2:
            yield edge
            last = edge


def _mark_columns(scene: MemoryScene) -> dict[str, Columns]:
    capacity = [] if scene.capacity_gib is None else [scene.capacity_gib]
    gaps = [bar for bar in scene.bars if scene.headroom_bytes(bar)]
    best = [bar for bar in gaps if bar.batch_size == scene.best]
    return {
        "capacity": {"y": floats(capacity)},
        "headroom": _gaps(scene, [bar for bar in gaps if bar not in best]),
        "best": _gaps(scene, best),
    }


def _gaps(scene: MemoryScene, bars: list[Bar]) -> Columns:
    capacity = scene.capacity_gib or 0.0
    return {**_boxes(scene, bars), "capacity": floats([capacity] * len(bars))}


def _hit_columns(scene: MemoryScene) -> Columns:
    return {
        "x": floats([scene.x(bar) for bar in scene.bars]),
        "top": floats([scene.top] * len(scene.bars)),
        "head": [_head(scene, bar) for bar in scene.bars],
        "detail": [_detail(bar) for bar in scene.bars],
    }


def _head(scene: MemoryScene, bar: Bar) -> str:
    if bar.peak_bytes is None:
        return f"k {bar.batch_size} · {'fits' if bar.fits else _why_not(bar)}"
    size = format_gib(bar.peak_bytes)
    if scene.capacity_bytes is None:
        return f"k {bar.batch_size} · {size} GiB"
    headroom = scene.headroom_bytes(bar)
    ending = _why_not(bar) if headroom is None else f"{format_gib(headroom)} free"
    return f"k {bar.batch_size} · {size} of {format_gib(scene.capacity_bytes)} GiB, {ending}"


def _why_not(bar: Bar) -> str:
    return "fits with retries, slower" if bar.is_slower else "does not fit"


def _detail(bar: Bar) -> str:
    if not bar.is_measured:
        return bar.why
    ran = "measured" if bar.fits else "ran out of memory"
    return ran if bar.predicted_bytes is None else f"{ran}; predicted {format_gib(bar.predicted_bytes)}"


def _in_words(scene: MemoryScene) -> str:
    where = "" if scene.capacity_bytes is None else f" on {_with_article(scene.capacity_name)}"
    head = f"Memory by batch size{where}."
    if not scene.bars:
        return f"{head} Nothing predicted or measured yet."
    return " ".join(part for part in (head, _answer_in_words(scene), _evidence_in_words(scene)) if part)


def _with_article(name: str) -> str:
    """``name`` as it is read aloud: an 8, an A, an R … but a T, a V.

    Examples:
        >>> [_with_article(name) for name in ("8 GB card", "T4", "A100 40", "RTX 3060", "this GPU")]
        ['an 8 GB card', 'a T4', 'an A100 40', 'an RTX 3060', 'this GPU']
    """
    if name.startswith(("this ", "the ", "your ")):
        return name
    number = name.split()[0].split(".")[0]
    vowel = number.startswith("8") or number in ("11", "18") or name[:1] in "AEFHILMNORSX"
    return f"{'an' if vowel else 'a'} {name}"


def _answer_in_words(scene: MemoryScene) -> str:
    if scene.capacity_bytes is None:
        last = scene.bars[-1]
        return "" if last.peak_bytes is None else f"{last.batch_size} needs {format_gib(last.peak_bytes)} GiB."
    fitting = [bar for bar in scene.bars if bar.fits]
    too_big = [bar for bar in scene.bars if not bar.fits]
    largest = next((bar for bar in fitting if bar.batch_size == scene.best), fitting[-1] if fitting else None)
    clauses = []
    if largest is not None:
        headroom = scene.headroom_bytes(largest)
        clauses.append(f"{largest.batch_size} fits" + (f" with {format_gib(headroom)} GiB free" if headroom else ""))
    if too_big:
        needs = too_big[0].peak_bytes
        clauses.append(
            f"{too_big[0].batch_size} " + ("does not fit" if needs is None else f"needs {format_gib(needs)}")
        )
    clauses += [f"{bar.batch_size} may get through, slower" for bar in too_big if bar.is_slower][-1:]
    return ("" if fitting else "Nothing fits: ") + "; ".join(clauses) + "."


def _evidence_in_words(scene: MemoryScene) -> str:
    kinds = []
    for name, is_measured in (("measured", True), ("predicted", False)):
        sizes = [bar.batch_size for bar in scene.bars if bar.is_measured is is_measured]
        if sizes:
            kinds.append(f"{sizes[0]}{f' to {sizes[-1]}' if len(sizes) > 1 else ''} {name}")
    return ", ".join(kinds) + "."
