"""The picture of three descents for notebooks without a browser's view: their figures and the strip below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..base.marks import Part
from ..base.page import Cell, page
from ..base.picture import WIDTH
from ..base.sentence import sentence_png
from .figure import descent_panel
from .strip import NAMES, strip_panel, strip_view
from .view import TEXT_TOKENS, family_of, path_title, path_view

if TYPE_CHECKING:
    from ...engine.descent.path import DescentPath

HEIGHT, PATH_HEIGHT = 334, 266
"""Of three beside one another with their losses, and of one alone, px."""
LEFTS, FRAME = (48, 322, 588), (226, 136)
STRIP = (56, 222, WIDTH - 66, 72)


def descent_png(paths: Sequence[DescentPath]) -> bytes | None:
    """The light picture of a small, a good and the reader's own η, with the sentence of the last; 820 px wide.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    return sentence_png(descent_parts(paths), HEIGHT, paths[-1])


def path_png(path: DescentPath) -> bytes | None:
    """The light picture of one path with its sentence below; None where matplotlib is not installed."""
    return sentence_png(path_parts(path), PATH_HEIGHT, path)


def path_parts(path: DescentPath) -> list[Part]:
    """The path under its title."""
    place = (LEFTS[0], 24, WIDTH - LEFTS[0] - 6, PATH_HEIGHT - 70)
    title = Cell(LEFTS[0], 11, path_title(path), TEXT_TOKENS[family_of(path)], weight="bold", size=13)
    return [
        Part(descent_panel(path.settings.landscape), path_view(path), place), page([title], (0, 0, WIDTH, PATH_HEIGHT))
    ]  # fmt: skip


def descent_parts(paths: Sequence[DescentPath]) -> list[Part]:
    """The three under their titles, and the losses step by step."""
    families = ("data", "answer", family_of(paths[-1]))
    rows = list(zip(NAMES, LEFTS, paths, families, strict=True))
    parts = [
        Part(
            descent_panel(path.settings.landscape, is_first=name == NAMES[0]), path_view(path, family=family),
            (left, 24, *FRAME),
        )
        for name, left, path, family in rows
    ]  # fmt: skip
    titles = [
        Cell(left, 11, path_title(path, name), TEXT_TOKENS[family], weight="bold", size=13)
        for name, left, path, family in rows
    ]
    strip = Part(strip_panel(paths[0].settings.steps), strip_view(paths), STRIP)
    return [*parts, strip, page(titles, (0, 0, WIDTH, HEIGHT))]
