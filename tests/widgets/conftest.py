"""What all tests of widgets share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from driver import promise_pictures
from ipywidgets import Widget


@pytest.fixture(autouse=True)
def _close_widgets() -> Iterator[None]:
    yield
    Widget.close_all()


@pytest.fixture(autouse=True)
def _pictures_are_promised(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a test asks for ``drawn_pictures``: ``panel/test_pictures.py`` does, of every view of every tool."""
    if "drawn_pictures" not in request.fixturenames:
        promise_pictures(monkeypatch)


@pytest.fixture
def drawn_pictures() -> None:
    """Pictures for the saved notebook are drawn."""
