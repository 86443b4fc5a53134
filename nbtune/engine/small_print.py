"""What stands below every result: how its data were taken, and what else its reader should know."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

_COLLECTION: ContextVar[list[str] | None] = ContextVar("collection", default=None)


class HasSmallPrint(Protocol):
    """A result, as far as this is about it."""

    @property
    def caveats(self) -> tuple[str, ...]: ...

    @property
    def data_form(self) -> str: ...


def small_print(result: HasSmallPrint) -> str:
    """Lines to be added to a result in text, each with its line break; "" for nothing to say."""
    data = f"\n  Data: {result.data_form}." if result.data_form else ""
    return "".join([data, *(f"\n  Note: {caveat}" for caveat in result.caveats)])


def warn_of(caveats: Iterable[str], *, stacklevel: int = 3) -> None:
    """Warn of something, or tell it to whoever ``collected`` warnings here.

    Args:
        caveats: In sentences.
        stacklevel: As of ``warnings.warn``; 3 is the caller of whoever calls this.
    """
    collection = _COLLECTION.get()
    for caveat in caveats:
        if collection is None:
            warnings.warn(caveat, stacklevel=stacklevel)
        else:
            collection.append(caveat)


@contextmanager
def collected() -> Iterator[list[str]]:
    """What nbtune would warn of in this thread, to be shown elsewhere.

    ``warnings.catch_warnings`` would change the filters of all threads, and two that overlap leave them changed.
    """
    found: list[str] = []
    token = _COLLECTION.set(found)
    try:
        yield found
    finally:
        _COLLECTION.reset(token)
