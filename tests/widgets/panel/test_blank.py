"""A figure is read once a kernel, and what is drawn in one widget is in no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driver import done
from tasks import blobs, plain_task

from nbtune.widgets import BatchComparison, BatchProber, BokehPlot, DescentExplorer, LRFinder

MAKERS: dict[str, Callable[[], Any]] = {
    "race": lambda: LRFinder(plain_task()),
    "sweep": lambda: LRFinder(plain_task(), mode="quick", steps=20),
    "sizes": lambda: LRFinder(plain_task(), batch_sizes=(4, 8)),
    "prober": lambda: BatchProber(plain_task(), capacity="1 GB", measure_seconds=0, max_batch_size=8),
    "comparison": lambda: BatchComparison(plain_task(), [4, 8]),
    "explorer": DescentExplorer,
}


def documents(widget: Any) -> list[Any]:
    return [plot.document for plot in widget.plots.values()]


@pytest.mark.parametrize("kind", MAKERS)
def test_the_second_widget_of_a_kind_sends_the_document_of_the_first(kind: str) -> None:
    first, second = MAKERS[kind](), MAKERS[kind]()
    assert documents(first) and all(a is b for a, b in zip(documents(first), documents(second), strict=True))


@pytest.mark.parametrize("kind", ["sweep", "prober"])
def test_what_one_shows_no_other_shows_and_none_does_that_comes_later(kind: str) -> None:
    first, second = MAKERS[kind](), MAKERS[kind]()
    empty = {name: plot.data for name, plot in second.plots.items()}
    done(first)
    assert any(plot.data["columns"] != empty[name]["columns"] for name, plot in first.plots.items())
    for widget in (second, MAKERS[kind]()):
        assert {name: plot.data for name, plot in widget.plots.items()} == empty


def test_other_axes_are_another_document() -> None:
    usual, other, held_out = (
        LRFinder(plain_task(), **changes)
        for changes in ({}, {"lr_max": 1.0}, {"validation": blobs(), "batch_sizes": (4, 8)})
    )
    for one in (other, held_out):
        assert not {id(document) for document in documents(usual)} & {id(document) for document in documents(one)}


def test_a_plot_takes_a_figure_and_what_was_read_of_one() -> None:
    from nbtune.plots.learning_rate.sweep.figure import lr_figure
    from nbtune.widgets.panel.blank import Blank

    blank = Blank.of(lr_figure(1e-5, 10.0))
    of_figure, of_blank = BokehPlot(lr_figure(1e-5, 10.0)), BokehPlot(blank)
    assert of_figure.data["columns"] == of_blank.data["columns"]
    of_figure.show(blank)
    assert of_figure.document is of_blank.document
