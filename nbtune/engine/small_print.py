"""What stands below every result: how its data were taken, and what else its reader should know."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

_COLLECTION: ContextVar[list[str] | None] = ContextVar("collection", default=None)

_NBTUNE = str(Path(__file__).parents[1] / "_").removesuffix("_")


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


def warn_of(caveats: Iterable[str]) -> None:
    """Warn of something, or tell it to whoever ``collected`` warnings here.

    The warning names the line outside nbtune that led here, through however many calls inside it.

    Args:
        caveats: In sentences.
    """
    collection = _COLLECTION.get()
    for caveat in caveats:
        if collection is None:
            warnings.warn(caveat, stacklevel=_callers_level())
        else:
            collection.append(caveat)


def _callers_level() -> int:
    """Where the first frame outside nbtune is, as ``warnings.warn`` counts from the function that calls this.

    From Python 3.12 on, ``skip_file_prefixes`` does the same.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NBTUNE):
        level, frame = level + 1, frame.f_back
    return level


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
