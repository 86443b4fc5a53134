"""Exceptions of the user's own code, as far as they would mislead or cannot even be put into words."""

from __future__ import annotations

from typing import Any

USED_UP = (
    "your code raised StopIteration, as next() does of an iterator that is used up, and that ends loops unseen: begin "
    "the iterator anew, or give next() a default"
)


class stops_told:
    """``with stops_told():`` around the user's own code: a StopIteration of theirs becomes an error that says so.

    Inside a generator Python would make "generator raised StopIteration" of it, and a loop would end as if it was done.
    """

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        raise_of_used_up(error)


def raise_of_used_up(error: BaseException | None) -> None:
    """Raise another error for a StopIteration; nothing for any other.

    Raises:
        RuntimeError: With the notes of that error, which is its cause.
    """
    if isinstance(error, StopIteration):
        instead = RuntimeError(USED_UP)
        for note in getattr(error, "__notes__", ()):
            instead.add_note(note)
        raise instead from error


def text_of(error: BaseException) -> str:
    """What an exception says, "" where even asking it for that fails.

    Examples:
        >>> text_of(ValueError("no such thing"))
        'no such thing'
    """
    try:
        return str(error)
    except Exception:
        return ""


def first_line(error: BaseException) -> str:
    """Of what an exception says; its kind where it says nothing.

    Examples:
        >>> first_line(ValueError("no such thing\\nat all")), first_line(AssertionError())
        ('no such thing', 'AssertionError')
    """
    return text_of(error).strip().partition("\n")[0] or type(error).__name__
