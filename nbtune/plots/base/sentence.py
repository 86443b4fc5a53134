"""A picture with the answer's sentence below it, for notebooks without a browser's view; drawn by matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from .tokens import TOKENS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 820
POINT = 0.72
"""Points in a px at 100 dots per inch: matplotlib measures text and lines in points."""

LINE = 22
"""Height of a line of the sentence, in px."""

COLOURS = TOKENS["light"]
SMALL: dict[str, Any] = {"fontsize": 12 * POINT}


class Answer(Protocol):
    """The answer, its evidence and its limit in words."""

    @property
    def verdict(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def limit(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the sentence, ``x`` px from the left in line ``line``."""

    text: str
    weight: str
    colour: str
    line: int
    x: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of 820 px measured in px from its top left corner."""

    figure: Figure
    height: int

    def add_axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height), facecolor="none"
        )

    def text(self, x: float, y: float, text: str, **look: Any) -> None:
        """Text whose line has its middle at ``y``; its baseline is that of all texts beside it."""
        self.figure.text(x / WIDTH, 1 - y / self.height, text, **{"va": "center_baseline", **look})

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=200)
        return buffer.getvalue()


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    try:
        return find_spec("matplotlib") is not None
    except ValueError:  # a None in sys.modules: someone forbade it
        return False


def words_of(answer: Answer, verdict_token: str, more: str = "") -> list[Word]:
    """The sentence, set word by word in lines as wide as the picture: verdict bold, evidence, the rest muted."""
    from matplotlib.font_manager import FontProperties

    needs_colon = answer.reason and answer.reason[0] != "(" and not answer.verdict.endswith((".", ":"))
    parts = (
        (answer.verdict + ":" * bool(needs_colon), "bold", verdict_token),
        (answer.reason, "normal", "ink"),
        (f"{answer.limit} {more}", "normal", "muted"),
    )
    placed: list[Word] = []
    line, x = 0, 0.0
    for text, weight, colour in parts:
        font = FontProperties(size=14, weight=weight)
        # Not at the no-break spaces within numbers.
        for word in filter(None, re.sub(r"(k|max\)?) ([=≈≤]) (?=\d)", "\\1\u00a0\\2\u00a0", text).split(" ")):
            if x + _width(word, font) > WIDTH - 8:
                line, x = line + 1, 0.0
            placed.append(Word(word, weight, colour, line, x))
            x += _width(f"{word} n", font) - _width("n", font)  # extents leave out the room around letters
    return placed


def _width(word: str, font: Any) -> float:
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), word, prop=font).get_extents().width)


@contextmanager
def picture_of(above: int, words: list[Word]) -> Iterator[Picture]:
    """A white picture, ``above`` px for a plot and the sentence below it; to be drawn within the ``with``."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = above + (8 + LINE * (1 + words[-1].line) if words else 0)
    # Never pyplot: it keeps figures, and belongs to the user's thread.
    figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=200, facecolor="white")
    FigureCanvasAgg(figure)
    picture = Picture(figure, height)
    with rc_context({"hatch.linewidth": 1.0, "font.size": 12 * POINT}):
        for word in words:
            look = {"fontsize": 14 * POINT, "fontweight": word.weight, "color": COLOURS[word.colour]}
            picture.text(word.x, above + LINE * (word.line + 0.5), word.text, **look)
        yield picture


def style_axes(axes: Axes) -> None:
    """Horizontal grid only, no line on the left."""
    axes.tick_params(colors=COLOURS["axis"], labelcolor=COLOURS["muted"], labelsize=12 * POINT, length=3)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=COLOURS["grid"], linewidth=1 * POINT)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(COLOURS["axis"])


def draw_labels(axes: Axes, labels: dict[str, Any], colour: str) -> None:
    """The labels of one colour, as ``labels.label_columns`` gives them."""
    for i, text in enumerate(labels["text"]):
        is_bold = labels["weight"][i] == "bold"
        box = {"facecolor": COLOURS["background"], "edgecolor": "none", "pad": 2.0, "alpha": labels["box_alpha"][i]}
        axes.text(
            labels["x"][i], labels["y"][i], text, color=colour, fontsize=(13 if is_bold else 12) * POINT,
            fontweight=labels["weight"][i], ha=labels["align"][i], va="center", bbox=box, zorder=4,
        )  # fmt: skip
