"""What torch logs of an attempt that fails on fake tensors: the error itself is handled, or raised."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOGGER = "torch._subclasses.fake_tensor"


class _NotFrom(logging.Filter):
    """Lets records of all other threads pass."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread


@contextmanager
def failures_unlogged() -> Iterator[None]:
    """In this thread; torch would write a traceback of its own inside into the notebook."""
    logger, unwanted = logging.getLogger(LOGGER), _NotFrom(threading.get_ident())
    logger.addFilter(unwanted)
    try:
        yield
    finally:
        logger.removeFilter(unwanted)
