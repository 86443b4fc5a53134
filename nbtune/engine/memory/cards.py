"""How much a card holds, by its name or by a size as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral

from ..checks import shown
from .architecture import UNNAMED, Architecture
from .card_names import HOSTED, UnknownCardError, find_card, of_host, several
from .card_table import GIB, TABLE, Card

SMALLEST, LARGEST = 2**20, 10**6 * 2**40

CARDS: dict[str, int] = {
    **{f"{size} GB": size * GIB for size in (4, 6, 8, 12, 16, 24, 32, 40, 48, 80)},
    **{card.name: card.size_bytes for card in TABLE},
    **{hosted: next(card.size_bytes for card in TABLE if card.name == name) for hosted, name in HOSTED.items()},
}
"""Name → bytes as PyTorch sees them on Linux: less than what stands on the box, see ``card_table``. Sizes are with
2**30 for a gigabyte."""

COMMON: tuple[str, ...] = (
    "4 GB", "6 GB", "8 GB", "12 GB", "16 GB", "24 GB", "RTX 3060", "RTX 3090", "RTX 4060", "RTX 4070", "RTX 4090",
    "RTX 5090", "T4", "L4", "A10G", "A100 40", "A100 80", "H100 80", "H200",
)  # fmt: skip
"""The names of ``CARDS`` that are worth a place in a list; all others can be typed."""

CONTEXT_BYTES = 710 * 2**20
"""What the driver and the loaded kernels take beside PyTorch's own segments. 619 and 640 MiB were published for other
people's cards (PyTorch 2.3, CUDA 12.1), 807 MiB were measured on an H100 with CUDA 13 once every kind of kernel had
run (527 MiB after the first tensor): the middle of 620 to 800 MiB, for a card that is not at hand."""
HOPPER_CONTEXT_BYTES = 800 * 2**20
"""The same of Hopper's cards, as measured."""

_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": GIB, "t": 2**40}
_WORDS = {"byte": "b", "bytes": "b", "kilo": "k", "mega": "m", "megas": "m", "gig": "g", "gigs": "g", "giga": "g",
          "gigas": "g", "tera": "t", "teras": "t"}  # fmt: skip
_FILLERS = re.compile(
    r"\b(vram|ram|gpu|card|graphics|memory|of|with|a|an|une?|una|un|de|con|memoria|tarjeta|gr[aá]fica)\b"
)
_SIZE = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:[.,]\d+)?|\d{1,3}(?:,\d{3})+|nan|inf))[\s-]*"
    r"(?:(?P<letter>[kmgt])(?:i?bs?|o)?"
    r"|(?P<prefix>[kmgt])(?:ilo|ibi|ega|ebi|iga|era)s?(?:bytes?|octets?)|(?P<word>[a-z]+))?"
)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What somebody meant by a capacity.

    Attributes:
        size_bytes: Of one card, as PyTorch sees it.
        name: In text, such as "T4" or "8 GB card".
        card: The card, where one was named.
        count: How many of them.
        notes: What had to be assumed, in sentences.
    """

    size_bytes: int
    name: str
    card: Card | None = None
    count: int = 1
    notes: tuple[str, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """Its generation; ``UNNAMED`` for a bare size."""
        return UNNAMED if self.card is None else self.card.architecture

    @property
    def caveats(self) -> tuple[str, ...]:
        """What an estimate for this card does not know, in sentences."""
        each = f"{self.count} cards: one {self.name} is judged, with batches of its own (devices={self.count})."
        one = (each,) if self.count > 1 else ()
        maker = {"metal": _APPLE, "gfx": _AMD}.get(re.sub(r"[\d.].*", "", self.architecture.code), "")
        shared = _SHARED if self.card is not None and self.card.name.startswith(("Jetson", "DGX")) else ""
        return (*one, *self.notes, *(text for text in (maker, shared) if text))


_APPLE = "Apple: this is what Metal recommends to stay within, two thirds to three quarters of the memory. Its own \
allocator is not modelled, CUDA's stands for it."
_AMD = "AMD: the kernels' own buffers are taken from CUDA's."
_SHARED = "The memory is the system's too, which takes its part of it."


def read_capacity(capacity: str | int) -> Capacity:
    """What somebody means by a capacity.

    Args:
        capacity: A card's name in any usual spelling, several of them ("2x A100"), a size such as "10 GB", "9.5 GiB" or
            "8 gigas" (all with 2**30), or bytes.
    Raises:
        ValueError: For anything else, with the nearest names.
        TypeError: For another kind of object.

    Examples:
        >>> read_capacity("2x A100").count, read_capacity("NVIDIA GeForce RTX 4090").name, read_capacity("8gb").name
        (2, 'RTX 4090', '8 GB card')
    """
    if not isinstance(capacity, str | Integral) or isinstance(capacity, bool):
        raise TypeError(f"capacity must be a size such as '8 GB', a card's name or bytes, not {shown(capacity)}")
    if not isinstance(capacity, str):
        return _of_size(int(capacity), capacity)
    if not capacity.strip():
        raise ValueError("capacity must not be empty: write a card's name, or its size, such as '8 GB'")
    size = _size(capacity)
    return _named(capacity) if size is None else _of_size(size, capacity)


def _named(text: str) -> Capacity:
    """One card or several, by name."""
    rest, notes = of_host(text)
    count, one = several(rest)
    if count == 0:
        raise ValueError(f"capacity {shown(text)} is no card at all: write how many, or write its size, such as '8 GB'")
    size = _size(one)
    if size is not None and count > 1:
        found = _of_size(size, one)
        return Capacity(found.size_bytes, found.name, count=count)
    if re.fullmatch(r"\s*\d{1,3}\s*", text):
        size_text = f"{text.strip()} GB"
        raise ValueError(f"capacity {text!r} has no unit: write a card's name, or its size, such as '{size_text}'")
    try:
        card, assumed = find_card(one)
    except UnknownCardError as error:
        if count == 1:
            raise ValueError(str(error)) from None
        (card, assumed), count = find_card(rest), 1  # what looked like a number of cards is part of the name
    return Capacity(card.size_bytes, card.name, card, count, (*notes, *assumed))


def parse_capacity(capacity: str | int) -> int:
    """Bytes of a card as PyTorch sees them; see ``read_capacity`` for what is understood, and for the errors.

    Examples:
        >>> parse_capacity("8 GB") == parse_capacity("8GiB") == parse_capacity("8 gigas") == 8 * 2**30
        True
        >>> round(parse_capacity("rtx 3060") / 2**30, 2)
        11.63
    """
    return read_capacity(capacity).size_bytes


def capacity_name(capacity: str | int) -> str:
    """How a card is called in text: "T4", "8 GB card".

    Examples:
        >>> capacity_name("tesla t4"), capacity_name("8gb"), capacity_name(2**33)
        ('T4', '8 GB card', '8 GB card')
    """
    return read_capacity(capacity).name


def placed(name: str) -> str:
    """The name of a capacity in the middle of a sentence.

    Examples:
        >>> placed("8 GB card"), placed("this GPU (H100)"), placed("this machine's memory")
        ('on the 8 GB card', 'on this GPU (H100)', "in this machine's memory")
    """
    if name.endswith("memory"):
        return f"in {name}"
    return f"on {name}" if name.startswith("this ") else f"on the {name}"


def context_bytes_of(architecture: Architecture) -> int:
    """What the driver and its kernels take on such a card, where it can't be asked."""
    return HOPPER_CONTEXT_BYTES if architecture.code == "9.0" else CONTEXT_BYTES


def _of_size(size: float, written: str | int) -> Capacity:
    if not size <= LARGEST:  # nor what is no number; a whole one may be beyond any float
        raise ValueError(f"capacity must be 1 000 000 TB or less, not {shown(written)}: write '8 GB', or 8 * 2**30")
    if size < SMALLEST:
        raise ValueError(f"capacity must be 1 MB or more, not {shown(written)}: write '8 GB', or 8 * 2**30")
    if size >= 1000 * GIB:
        return Capacity(int(size), f"{size / GIB:.0f} GB card")
    return Capacity(int(size), f"{size / GIB:.3g} GB card" if size >= GIB else f"{size / 2**20:.3g} MB card")


def _size(text: str) -> float | None:
    """Bytes, where a text is a size; None where it is something else."""
    found = _SIZE.fullmatch(" ".join(_FILLERS.sub(" ", text.casefold()).split()))
    if found is None or (found["word"] is not None and found["word"] not in _WORDS):
        return None
    unit = found["letter"] or found["prefix"] or _WORDS.get(found["word"] or "", "")
    is_grouped = re.fullmatch(r"\d{1,3}(,\d{3})+", found["number"]) is not None and unit not in ("g", "t")
    number = float(found["number"].replace(",", "" if is_grouped else "."))
    if not unit and 0 < number < SMALLEST:  # part of a name
        return None
    return number * _UNITS[unit or "b"]
