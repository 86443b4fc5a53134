"""The answer's sentence below a picture, set word by word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from .marks import Part
from .page import Cell, page
from .picture import WIDTH, can_draw, png_of

LINE = 22
"""Height of a line of the sentence, in px."""


class Answer(Protocol):
    """The answer, its evidence and its limit in words."""

    @property
    def verdict(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def limit(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Told:
    """An answer made for a picture, where the result itself holds none."""

    verdict: str
    reason: str = ""
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the sentence, ``x`` px from the left in line ``line``."""

    text: str
    weight: str
    colour: str
    line: int
    x: float


def sentence_png(
    parts: Sequence[Part], above: int, answer: Answer, *, token: str = "ink", more: str = ""
) -> bytes | None:
    """A picture with a sentence, 820 px wide, at twice the resolution: exports show it alone, so it has to say all.

    Args:
        parts: What is drawn.
        above: px that it takes.
        answer: What the sentence says.
        token: Colour of the verdict, which is bold.
        more: After the limit.
    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    if not can_draw():
        return None
    words = words_of(answer, token, more)
    below = 8 + LINE * (1 + words[-1].line) if words else 0
    cells = (Cell(w.x, above + LINE * (w.line + 0.5), w.text, w.colour, weight=w.weight, size=14) for w in words)
    return png_of([*parts, page(cells, (0, 0, WIDTH, above + below))], above + below)


def words_of(answer: Answer, verdict_token: str, more: str = "") -> list[Word]:
    """The sentence, set word by word in lines as wide as the picture: verdict bold, evidence, the rest muted."""
    needs_colon = answer.reason and answer.reason[0] != "(" and not answer.verdict.endswith((".", ":"))
    parts = (
        (answer.verdict + ":" * bool(needs_colon), "bold", verdict_token),
        (answer.reason, "normal", "ink"),
        (f"{answer.limit} {more}", "normal", "muted"),
    )
    return list(_placed(parts))


def _placed(parts: Iterable[tuple[str, str, str]]) -> Iterator[Word]:
    line, x = 0, 0.0
    for text, weight, colour in parts:
        # Not at the no-break spaces within numbers.
        for word in filter(None, re.sub(r"(k|max\)?) ([=≈≤]) (?=\d)", "\\1\u00a0\\2\u00a0", text).split(" ")):
            if x + _width(word, weight) > WIDTH - 8:
                line, x = line + 1, 0.0
            yield Word(word, weight, colour, line, x)
            x += _width(f"{word} n", weight) - _width("n", weight)  # extents leave out the room around letters


# Of each word once: following the curves of its letters takes as long as drawing it.
@lru_cache(maxsize=2048)
def _width(word: str, weight: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), word, prop=FontProperties(size=14, weight=weight)).get_extents().width)
