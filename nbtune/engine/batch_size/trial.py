"""What a search for batch sizes yields."""

from __future__ import annotations

from dataclasses import dataclass

from ..plain_data import check_event


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTrial:
    """One batch size, predicted or really run.

    Attributes:
        batch_size: k.
        fits: Whether its peak stays within the capacity.
        peak_bytes: Measured peak; None where it is predicted alone, or where it ran out of memory.
        predicted_bytes: Predicted peak; None where nothing could be predicted.
        parts: (name, bytes) in the order of ``PARTS``; they add up to ``peak_bytes``, else to ``predicted_bytes``.
        seconds: Of one training step; None where none was run.
        samples_per_second: k (times ``accumulate``) / seconds; None where none was run.
        why: In words: "predicted", "ran", "out of memory", "played: ran" …
        is_measured: Whether steps were really run.
        device: Where they ran: "cpu" or "cuda"; None where none did.
        fits_with_retries: Whether it gets through at least where the allocator gives back its cache and tries again,
            which is slower; None where nobody predicted it.
    """

    batch_size: int
    fits: bool
    peak_bytes: int | None
    predicted_bytes: int | None
    parts: tuple[tuple[str, int], ...] = ()
    seconds: float | None = None
    samples_per_second: float | None = None
    why: str = "predicted"
    is_measured: bool = False
    device: str | None = None
    fits_with_retries: bool | None = None

    @property
    def is_slower(self) -> bool:
        """Whether it gets through with those retries alone."""
        return not self.fits and not self.is_measured and bool(self.fits_with_retries)

    def __post_init__(self) -> None:
        check_event(self)
