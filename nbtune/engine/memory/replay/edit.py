"""Changes to a tape: other sizes, other lifetimes, and allocations that one device alone does not make."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from ..rehearsal.recording import Allocation, Recording


@dataclass(slots=True)
class Edit:
    """What ``Tape.edited`` is to change. Places are indices of the tape's events.

    Attributes:
        recording: Of the tape.
        changed: What stands for an allocation, by its id.
        sizes: Bytes of an allocation at any batch size, by its id; without one it keeps its lengths.
        added: New allocations, whose ids follow those of the tape; their sizes don't depend on the batch size.
        before: Events to be played before one of the tape's.
        dropped: Places of events that do not happen.
    """

    recording: Recording
    changed: dict[int, Allocation] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    added: list[Allocation] = field(default_factory=list)
    before: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    dropped: set[int] = field(default_factory=set)

    def allocate(self, at: int, made: Allocation) -> int:
        """A new allocation before the event at a place.

        Returns:
            Its id.
        """
        self.added.append(made)
        index = len(self.recording.allocations) + len(self.added) - 1
        self.before[at].append(index)
        return index

    def free(self, at: int, index: int) -> None:
        """An allocation, new or not, goes before the event at a place."""
        self.before[at].append(~index)

    def rename(self, index: int, part: str) -> None:
        """An allocation belongs to another part."""
        self.changed[index] = replace(self.changed.get(index, self.recording.allocations[index]), part=part)

    def played(self) -> tuple[list[int], list[int]]:
        """All events in their new order, and where each place of the old ones is now."""
        events, moved = list[int](), list[int]()
        for place, event in enumerate(self.recording.events):
            moved.append(len(events))
            events += self.before.get(place, ())
            events += () if place in self.dropped else (event,)
        moved.append(len(events))
        return events + self.before.get(len(self.recording.events), []), moved
