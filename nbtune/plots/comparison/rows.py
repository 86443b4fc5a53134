"""What a comparison says of each k, as rows of a table; and by which colour, dash and marker a k is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...formats import format_count, format_gib, format_loss, format_lr, format_mib, format_target
from ..base.series import Series, series_of_sizes

if TYPE_CHECKING:
    from ...engine.comparison.result import Comparison

UNKNOWN = "–"


def sizes_of(comparison: Comparison) -> tuple[int, ...]:
    """Every k asked for or trained, ascending: all are known before the first step."""
    asked = [k for k in comparison.settings.batch_sizes or () if isinstance(k, int)]
    return tuple(sorted({*asked, *(curve.batch_size for curve in comparison.by_batch_size)}))


def series_of(comparison: Comparison, selected: int | None = None, *, running: bool = False) -> list[Series]:
    """One entry per k, in rising k; see ``series_of_sizes``.

    Args:
        comparison: Of any length.
        selected: The k to tell from the rest; None for the answer's.
        running: Whether more is coming: then the answer may change, and it colours nothing.
    """
    told = selected if selected is not None or running else comparison.batch_size
    return series_of_sizes(sizes_of(comparison), told)


def summary_rows(comparison: Comparison, *, running: bool = False) -> list[tuple[str, list[str]]]:
    """Rows of (name, text per k in rising k); "–" where nothing is known (yet).

    Held-out loss and memory have a row where they were asked for or are known.

    Args:
        comparison: Of any length.
        running: Whether more is coming: then a target that nobody chose is not known yet.
    """
    target = comparison.settings.target_loss if running else comparison.target_loss
    sign = comparison.sign
    lowered = None if target is None else sign * target
    found = {curve.batch_size: curve.row(lowered, sign) for curve in comparison.by_batch_size}
    table = [found.get(k, {}) for k in sizes_of(comparison)]
    to = "the target" if target is None else f"loss {format_target(target)}"
    rows = [
        (_lr_name(comparison.settings.lr), _cells(table, "lr", format_lr)),
        (f"samples to {to}", _cells(table, "samples_to_target", _two_digits)),
        (f"seconds to {to}", _cells(table, "seconds_to_target", format_loss)),
        ("updates per epoch", _cells(table, "updates_per_epoch", format_count)),
        ("seconds per epoch", _cells(table, "seconds_per_epoch", format_loss)),
        ("loss so far" if running else "loss at the end", [_ending(row, 3 if running else 2) for row in table]),
    ]
    held_out = _cells(table, "held_out_loss", format_loss)
    if comparison.settings.validation is not None or any(cell != UNKNOWN for cell in held_out):
        rows.append(("held-out loss", held_out))
    peaks = [row["peak_bytes"] for row in table if row.get("peak_bytes")]
    if comparison.settings.capacity is not None or peaks:
        rows.append(_memory_row(table, max(peaks, default=0)))
    return rows


def _lr_name(lr: Any) -> str:
    if isinstance(lr, Mapping):
        return "η (given)"
    return f"η ({lr})" if isinstance(lr, str) else "η (fixed)"


def _cells(table: Sequence[Mapping[str, Any]], name: str, write: Callable[[Any], str]) -> list[str]:
    return [UNKNOWN if row.get(name) is None else write(row[name]) for row in table]


def _two_digits(count: float) -> str:
    """More would not be the same in another run."""
    return format_count(float(f"{count:.1e}"))


def _ending(row: Mapping[str, Any], digits: int) -> str:
    loss = row.get("final_loss")
    if loss is not None:
        return format_loss(loss, digits)
    return row["outcome"] if row.get("outcome") in ("diverged", "failed") else UNKNOWN


def _memory_row(table: Sequence[Mapping[str, Any]], largest: float) -> tuple[str, list[str]]:
    """In one unit, that of the largest."""
    unit, write = ("MiB", format_mib) if largest < 1023.5 * 2**20 else ("GiB", format_gib)
    return f"predicted memory, {unit}", _cells(table, "peak_bytes", write)
