"""What all tests share: one thread for each process, how many processes there are, and which files begin."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

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


LONGEST = [
    Path(__file__).parent / name
    for name in (
        "browser/test_lab_extension.py", "browser/test_lr_finder.py", "browser/test_oldest_lab.py",
        "notebooks/test_sgd_or_mini_batch.py", "notebooks/test_batch_size.py", "notebooks/test_learning_rate.py",
        "browser/test_descent_explorer.py", "browser/test_batch_comparison.py", "browser/test_batch_prober.py",
        "test_monitor_kernel.py",
    )
]  # fmt: skip
"""Files of minutes, which begin, so that no process is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, all others in their order."""
    places = {path: place for place, path in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One for each core; none, so that tests run in this very process, where a single file or test is asked for."""
    is_one = len(config.args) == 1 and ".py" in config.args[0]
    return 0 if is_one else min(os.cpu_count() or 1, MOST_WORKERS)
