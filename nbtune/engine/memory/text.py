"""An estimate as a table of text."""

from __future__ import annotations

from typing import Any

from ...formats import format_memory
from ..small_print import small_print


def table_of(estimate: Any) -> str:
    """Peak and what is free at k = 1, 2, 4 … 512, with what the estimate assumes below."""
    of_several = f", one of {estimate.devices} devices" if estimate.devices > 1 else ""
    lines = [
        f"Memory of each batch size k on {estimate.capacity_name}{of_several} (predicted)",
        "      k      peak         free",
    ]
    for k in [2**i for i in range(10)]:
        free = estimate.headroom_bytes(k)
        left = "" if free is None else format_memory(free) if free >= 0 else "too big"
        left = "with retries" if left and not estimate.fits(k) and estimate.fits_with_retries(k) else left
        lines.append(f"{k:7} {format_memory(estimate.peak_bytes(k)):>9} {left:>12}")
    return "\n".join(lines) + small_print(estimate)
