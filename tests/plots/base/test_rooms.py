"""Who may import whom inside plots: tools the base alone, the base no tool, and neither canvas the other."""

from __future__ import annotations

import ast
from pathlib import Path

import nbtune.plots

ROOT = Path(nbtune.plots.__file__).parent
SHARED = {"learning_rate"}
"""Rooms whose own files their sub-rooms may import."""


def imported(source: str, place: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Modules of plots that a file imports in any way, as their path below plots; ``place`` is the file's folder."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(place) + 1:
            above = place[: len(place) - node.level + 1]
            names = [[*node.module.split(".")]] if node.module else [[alias.name] for alias in node.names]
            found |= {(*above, *name) for name in names}
    return found


def is_allowed(place: tuple[str, ...], module: tuple[str, ...]) -> bool:
    """Within a room, from the base, or from the files (not the sub-rooms) of the room that a sub-room is part of."""
    room = module[:-1]
    return room in (place, ("base",)) or not place or (place[0] in SHARED and room == place[:1])


def breaches(source: str, place: tuple[str, ...]) -> set[str]:
    return {".".join(module) for module in imported(source, place) if not is_allowed(place, module)}


def test_no_tool_imports_another_and_the_base_none() -> None:
    files = {file: file.relative_to(ROOT).parent.parts for file in ROOT.rglob("*.py")}
    found = {str(file.relative_to(ROOT)): breaches(file.read_text(), place) for file, place in files.items()}
    dispatch = found.pop("learning_rate/dispatch.py")
    assert {module.split(".")[1] for module in dispatch} == {"race", "sweep", "by_size"}  # the one place that chooses
    assert {file: bad for file, bad in found.items() if bad} == {}


def test_neither_canvas_imports_the_other() -> None:
    bokeh, saved = (imported((ROOT / "base" / f"{name}.py").read_text(), ("base",)) for name in ("live", "picture"))
    assert ("base", "picture") not in bokeh and not saved & {("base", "live"), ("base", "frame"), ("base", "browser")}


def test_a_breach_would_be_seen() -> None:
    assert breaches("from ..memory.view import x", ("comparison",)) == {"memory.view"}
    assert breaches("def f():\n    from ..sweep.scene import x", ("learning_rate", "race")) == {
        "learning_rate.sweep.scene"
    }
    assert breaches("from ..descent.view import x", ("base",)) == {"descent.view"}
    assert breaches("from ..pair import x\nfrom ...base.marks import y", ("learning_rate", "race")) == set()
    assert breaches("from .. import overlays\nfrom ....formats import z", ("learning_rate", "race")) == set()
