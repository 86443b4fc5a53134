"""What all tests share: one thread for each process, and how many processes there are."""

from __future__ import annotations

import gc
import os
import signal

import pytest

# A shell starts what runs in its background (as .ci/run does) with interrupts ignored, and Python then leaves them so.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before torch and numpy are imported, here and in every kernel and subprocess that a test starts. The models are so
# small that more threads only wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A figure of Bokeh's is thousands of objects, and with Python's own threshold the collector looks through all there are
# again and again.
gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True, scope="module")
def _few_to_look_through() -> None:
    """What was imported, and what earlier files hold, is no garbage: collections look at this file's objects alone.

    The tools collect by themselves when a trial ends, which else looks through torch, transformers and Bokeh each time.
    """
    gc.collect()
    gc.freeze()


MOST_WORKERS = 4
"""Each of them imports torch, and the slow ones start a server and a browser."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One for each core; none, so that tests run in this very process, where a single file or test is asked for."""
    is_one = len(config.args) == 1 and ".py" in config.args[0]
    return 0 if is_one else min(os.cpu_count() or 1, MOST_WORKERS)
