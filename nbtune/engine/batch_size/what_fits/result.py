"""What makes a batch size fit, as a table: one row a change, the smallest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ....formats import format_memory
from ...memory.cards import placed
from ...small_print import small_print

if TYPE_CHECKING:
    from ...task.task import Task

SURE, SLOWER, TOO_BIG = "fits", "fits, with retries", "too big"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChange:
    """One change, estimated.

    Attributes:
        name: In words; "" for training as it is.
        effect, cost: On what is learned and in time, in words; "" where that is not known.
        changes: (argument of ``estimate_memory``, value) of what was estimated.
        batch_size, accumulate: Samples in a batch, and how many such batches make one update.
        peak_bytes: The peak.
        needed_bytes: The peak and its margin.
        free_bytes: What the peak leaves of the card; below 0 if it is too big.
        fits: Whether the peak and its margin stay within the card.
        fits_with_retries: Whether it gets through where the allocator gives back its cache and tries again (slower).
        rank: Small for a small change.
    """

    name: str
    effect: str
    cost: str
    changes: tuple[tuple[str, Any], ...]
    batch_size: int
    accumulate: int
    peak_bytes: int
    needed_bytes: int
    free_bytes: int
    fits: bool
    fits_with_retries: bool
    rank: float

    @property
    def short(self) -> str:
        """What a task is given to hold it: "4 × 8"."""
        sizes = f"{self.accumulate} × {self.batch_size}" if self.accumulate > 1 else f"k = {self.batch_size}"
        return ", ".join([sizes, *(name for name, _ in self.changes)])

    @property
    def is_the_tasks(self) -> bool:
        """Whether a task can hold it, as it can a batch size, accumulation and mixed precision."""
        return {name for name, _ in self.changes} <= {"amp"}

    @property
    def how(self) -> str:
        """Whether it fits, in words."""
        return SURE if self.fits else SLOWER if self.fits_with_retries else TOO_BIG


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatFits:
    """What makes a batch size fit, a pure fold of its rows (see ``from_changes``).

    Attributes:
        changes: Training as it is, then single changes and pairs, the smallest first.
        smallest: The first that fits; None where none does. Training as it is, where that fits.
        batch_size: Samples in an update.
        capacity_bytes, capacity_name: Of the card.
        verdict, reason, limit: The answer, its evidence and its limit in words.
        outcome: "finished" or "stopped".
        left_out: What could not be estimated, and why.
        caveats: What the estimates do not know.
        data_form: How the data were taken.
    """

    changes: tuple[MemoryChange, ...]
    smallest: MemoryChange | None
    batch_size: int
    capacity_bytes: int
    capacity_name: str
    verdict: str
    reason: str
    limit: str
    outcome: Literal["finished", "stopped"]
    left_out: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    data_form: str = ""

    @classmethod
    def from_changes(
        cls,
        changes: Iterable[MemoryChange],
        *,
        batch_size: int,
        card: tuple[int, str],
        outcome: Literal["finished", "stopped"] = "finished",
        left_out: Iterable[str] = (),
        caveats: Iterable[str] = (),
        data_form: str = "",
    ) -> WhatFits:
        """What any number of rows says, so that a stopped search is a valid, shorter result.

        Args:
            changes: Rows in the order they were estimated, possibly none; the first is training as it is.
            batch_size: k wanted.
            card: Bytes and name.
        """
        rows = tuple(sorted(changes, key=lambda row: row.rank))
        smallest = next((row for row in rows if row.fits), None)
        verdict, reason, limit = _told(rows, smallest, batch_size, card[1], outcome == "stopped")
        return cls(
            changes=rows, smallest=smallest, batch_size=batch_size, capacity_bytes=card[0], capacity_name=card[1],
            verdict=verdict, reason=reason, limit=limit, outcome=outcome, left_out=tuple(left_out),
            caveats=tuple(caveats), data_form=data_form,
        )  # fmt: skip

    def apply(self, task: Task) -> Task:
        """A new task with the smallest change that fits, where a task can hold it; the given one stays as it is.

        Raises:
            ValueError: When nothing fits, or when the change is one of the model, the optimizer or the data.
        """
        row = self.smallest
        if row is None:
            raise ValueError(f"there is nothing to apply. {self.verdict} {self.reason}")
        if not row.is_the_tasks:
            raise ValueError(f"{row.name} is not a setting of a task: it is to be set in your code")
        return task.with_(batch_size=row.batch_size, accumulate=task.accumulate * row.accumulate, **dict(row.changes))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema`` and the fields."""
        plain = asdict(self)
        for row in (*plain["changes"], *([plain["smallest"]] if plain["smallest"] else [])):
            row["changes"] = {name: _plain(value) for name, value in row["changes"]}
        return {"kind": "what_fits", "schema": 1, **plain}

    def __repr__(self) -> str:
        head = f"WhatFits(batch_size={self.batch_size}, {self.capacity_name} = {format_memory(self.capacity_bytes)})"
        sentence = " ".join(part for part in (self.verdict, self.reason, self.limit) if part)
        rows = [("change", "on training", "time", "peak", "free"), *map(_row, self.changes)]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = [
            "  ".join([*(c.ljust(w) for c, w in zip(row[:3], widths, strict=False)), row[3].rjust(widths[3]), row[4]])
            for row in rows
        ]
        left_out = [f"Left out: {what}." for what in self.left_out]
        table = "\n  ".join([head, sentence, *(line.rstrip() for line in lines if self.changes), *left_out])
        return f"{table}{small_print(self)}"


def _plain(value: Any) -> Any:
    """A dtype as JSON can hold it."""
    return str(value).removeprefix("torch.") if type(value).__module__ == "torch" else value


def _row(row: MemoryChange) -> tuple[str, str, str, str, str]:
    free = format_memory(row.free_bytes) if row.fits else row.how
    return row.name or "as it is", row.effect, row.cost, format_memory(row.peak_bytes), free


def _told(
    rows: tuple[MemoryChange, ...], smallest: MemoryChange | None, k: int, card: str, is_stopped: bool
) -> tuple[str, str, str]:
    if not rows:
        return "Stopped before anything was known." if is_stopped else "", "", ""
    place = placed(card)
    as_it_is = next((row for row in rows if not row.name), rows[0])
    peak = format_memory(as_it_is.peak_bytes)
    if smallest is not None and not smallest.name:
        return (
            f"k = {k} fits {place} as it is",
            f"({peak} predicted, {format_memory(smallest.free_bytes)} free).",
            "",
        )
    if smallest is None and len(rows) == 1 and is_stopped:
        return f"k = {k} does not fit {place} as it is:", f"it takes {peak} (predicted). No change was tried.", ""
    if smallest is None:
        least = min(rows, key=lambda row: row.peak_bytes)
        verdict = f"Nothing tried makes k = {k} fit {place}:"
        with_it = f"with {least.name} it is {format_memory(least.peak_bytes)}" if least.name else "nothing takes less"
        return verdict, f"{peak} as it is, {with_it} (predicted).", _slower(rows)
    verdict = f"With {smallest.name}, k = {k} fits {place}"
    reason = f"({format_memory(smallest.peak_bytes)} predicted, {format_memory(smallest.free_bytes)} free)."
    return verdict, f"{reason} As it is, it takes {peak}.", "" if as_it_is.how == TOO_BIG else _slower((as_it_is,))


def _slower(rows: tuple[MemoryChange, ...]) -> str:
    found = next((row for row in rows if row.fits_with_retries and not row.fits), None)
    if found is None:
        return ""
    what = f"With {found.name} it" if found.name else "As it is, it"
    return f"{what} may get through, slower, as the allocator gives back its cache and tries again."
