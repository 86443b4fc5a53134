"""Everything of test_restore.py once more, with a race in place of the sweep."""

from __future__ import annotations

import pytest
import test_restore
from test_restore import *  # noqa: F403

from nbtune.engine import LRSettings


@pytest.fixture(autouse=True)
def _race(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_restore, "SHORT", LRSettings(rates=5))
