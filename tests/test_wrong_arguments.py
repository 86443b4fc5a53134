"""No wrong argument is taken, or comes back as somebody else's error: the benchmark ``fuzz.py`` in short."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from driver import promise_pictures
from ipywidgets import Widget
from wrong_arguments import PARTS, Callables, judged, trials
from wrong_values import KINDS, told

EACH = len(KINDS)
"""Values for each callable."""


@pytest.fixture(autouse=True)
def _close_widgets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    promise_pictures(monkeypatch)
    yield
    Widget.close_all()


@pytest.mark.parametrize("part", PARTS)
def test_a_wrong_argument_is_refused_by_name_or_means_something(part: str) -> None:
    wrong, callables = [], Callables((part,))
    for name, argument, value in trials(callables, EACH, seed=1):
        verdict = judged(argument, value, callables.task)
        if verdict.kind == "wrong":
            wrong.append(f"{name}({argument.name} = {told(value)}): {verdict.why}")
    assert not wrong
