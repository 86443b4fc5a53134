"""Named cards, and sizes as people write them."""

from __future__ import annotations

import re
from numbers import Integral

from ..checks import shown

GIB = 2**30
SMALLEST, LARGEST = 2**20, 10**6 * 2**40

CARDS: dict[str, int] = {
    "4 GB": 4 * GIB,
    "6 GB": 6 * GIB,
    "8 GB": 8 * GIB,
    "RTX 3060": 12 * GIB,
    "T4": 15 * GIB,
    "16 GB": 16 * GIB,
    "L4": 22 * GIB,
    "RTX 4090": 24 * GIB,
    "A100 40": 40 * GIB,
    "A100 80": 80 * GIB,
    "H100 80": 80 * GIB,
}
"""Name → bytes, as sold (a gigabyte is 2**30); T4 and L4 show a little less, since ECC takes its part."""

CONTEXT_BYTES = 800 * 2**20
"""What the driver and the loaded kernels take beside PyTorch's own segments: 527 MiB after the first tensor, 807 MiB
once every kind of kernel had run, on an H100 with CUDA 13; older cards and versions need less."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": GIB, "T": 2**40}


def parse_capacity(capacity: str | int) -> int:
    """Bytes of a card.

    Args:
        capacity: A name of ``CARDS``, a size such as "10 GB" or "9.5 GiB" (both with 2**30), or bytes.
    Raises:
        ValueError: For any other text, naming what is known, and for a size that no card has.
        TypeError: For another kind of object.

    Examples:
        >>> parse_capacity("8 GB") == parse_capacity("8GiB") == 8 * 2**30
        True
        >>> parse_capacity("rtx 3060") // 2**30
        12
    """
    if not isinstance(capacity, str | Integral) or isinstance(capacity, bool):
        raise TypeError(f"capacity must be a size such as '8 GB', a card's name or bytes, not {shown(capacity)}")
    if not isinstance(capacity, str):
        size = int(capacity)
    else:
        named = {name.casefold(): size for name, size in CARDS.items()}
        text = " ".join(capacity.split()).casefold()
        size = named[text] if text in named else _size(capacity)
    if size < SMALLEST:
        raise ValueError(f"capacity must be 1 MB or more, not {shown(capacity)}: write '8 GB', or 8 * 2**30")
    if size > LARGEST:
        raise ValueError(f"capacity must be 1 000 000 TB or less, not {shown(capacity)}")
    return size


def capacity_name(capacity: str | int) -> str:
    """How a card is called in text: "T4", "8 GB card".

    Examples:
        >>> capacity_name("t4"), capacity_name("8gb"), capacity_name(2**33)
        ('T4', '8 GB card', '8 GB card')
    """
    if isinstance(capacity, str):
        text = " ".join(capacity.split()).casefold()
        name = next((name for name in CARDS if name.casefold() == text), None)
        if name is not None and not name.endswith("GB"):
            return name
    size = parse_capacity(capacity)
    return f"{size / GIB:.3g} GB card" if size >= GIB else f"{size / 2**20:.3g} MB card"


def _size(text: str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:[.,]\d+)?)\s*([KMGT]?I?B)?\s*", text.upper())
    if found is None or (found[2] is None and float(found[1].replace(",", ".")) < 2**20):
        raise ValueError(
            f"capacity must be a size such as '8 GB' or a known card ({', '.join(CARDS)}), not {shown(text)}"
        )
    return int(float(found[1].replace(",", ".")) * _UNITS[(found[2] or "").rstrip("BI")])
