"""Which way is better, in words: down for losses, up where an optimizer maximizes what the user's code returns.

Everything that judges takes the lowest for the best; of a maximizing optimizer that is minus what the user returns.
Only what is shown and said turns the sign back.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..formats import format_loss


@dataclass(frozen=True, slots=True)
class Direction:
    """How losses that are lowered are told.

    Attributes:
        sign: 1, or −1 where they are minus the user's numbers.
        lowest: What the best one is.
        rose, risen, raised: What it did when it got worse, and what a rate did to it then.
        fell, falling, come_down: The same for better.
    """

    sign: int
    lowest: str
    rose: str
    raised: str
    fell: str
    falling: str
    come_down: str
    risen: str

    def text(self, loss: float, digits: int = 2) -> str:
        """The user's own number for a loss that is lowered."""
        return format_loss(self.sign * loss, digits)


DOWN = Direction(1, "lowest", "rose", "raised", "fell", "falling", "come down", "risen")
UP = Direction(-1, "highest", "fell", "lowered", "rose", "rising", "go up", "fallen")


def direction_of(sign: int) -> Direction:
    """For 1 or −1."""
    return DOWN if sign > 0 else UP
