"""The comparison's table, which is also the legend of its plot, as plain data for summary.js."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...plots.base.series import Series
from ...plots.comparison.rows import series_of, summary_rows

if TYPE_CHECKING:
    from ...engine.comparison.result import Comparison

SIGNS = {"square": "■", "circle": "●", "triangle": "▲"}
THIN = "\u2009"
MOST_COLUMNS, MOST_DIGITS = 3, 6
"""As much has room for "k = 32" at each head; with more, the corner says "k" for all."""

Cell = dict[str, Any]


def summary_table(comparison: Comparison, selected: int | None, *, running: bool) -> dict[str, Any]:
    """A head per k in its colour, and what is known of each.

    Args:
        comparison: Of any length.
        selected: The k asked for by a click.
        running: Whether more is coming.
    Returns:
        A table as of blocks.js, and ``picks``: [k, whether it is the one selected] of each head.
    """
    series = series_of(comparison, selected, running=running)
    digits = sum(len(str(one.batch_size)) for one in series)
    is_short = len(series) > MOST_COLUMNS or digits > MOST_DIGITS
    heads = [_head(one, is_short=is_short, is_selected=one.batch_size == selected) for one in series]
    rows = summary_rows(comparison, running=running)
    return {
        "caption": "What was found at each batch size k",
        "head": [[{"text": "batch size k" if is_short else ""}, *heads]],
        "body": [[{"text": name, "header": "row"}, *map(_number, texts)] for name, texts in rows],
        "picks": [[one.batch_size, one.batch_size == selected] for one in series],
    }


def caption_of(comparison: Comparison) -> list[list[str]]:
    """What belongs to all numbers; what lines and bands are stands above the plot."""
    seconds = "seconds are those of the run's own steps, with the loading of their data"
    return [[f"Every run starts from the same weights; {seconds}.", ""]]


def _head(series: Series, *, is_short: bool, is_selected: bool) -> Cell:
    name = str(series.batch_size) if is_short else series.text.replace(" ", THIN)
    style = f"number series series-{series.token}{' selected' if is_selected else ''}"
    return {"text": f"{SIGNS[series.marker]} {name}", "spoken": series.text, "header": "col", "style": style}


def _number(text: str) -> Cell:
    return {"text": text, "style": "number"}
