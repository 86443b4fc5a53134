"""The field in which a card is chosen or typed, and its entries: the same in every tool."""

from __future__ import annotations

from typing import Any

from ...engine.memory.cards import CARDS, COMMON
from ...formats import format_memory


def card_field(without: str, **more: Any) -> dict[str, Any]:
    """The field, with the usual sizes and cards; every other card can be typed below them.

    Args:
        without: The first entry, which names no card.
        **more: What else the field has.
    """
    return {
        "name": "capacity", "label": "card", "kind": "choice", **more, "options": [["", without], *_named_cards()],
        "other": "other size …", "example": "10 GB, RTX 3080",
    }  # fmt: skip


def _named_cards() -> list[list[str]]:
    # A size is its own name; any other name is told with its size.
    return [[n, f"{n} (named)" if n.endswith("GB") else f"{n} ({format_memory(CARDS[n])})"] for n in COMMON]
