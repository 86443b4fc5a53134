"""What makes a batch size fit, drawn: a bar for each change, its kind, the card, and the answer."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from bokeh.models import ColumnDataSource
from memory_results import GIB, change_of, what_fits

from nbtune.engine.batch_size.what_fits.result import WhatFits
from nbtune.plots import plot
from nbtune.plots.memory.changes import capacity_share, change_rows, changes_figure, changes_png


def sources_of(found: WhatFits) -> dict[str, Any]:
    return {source.name: source.data for source in changes_figure(found).select({"type": ColumnDataSource})}


def test_each_change_has_one_bar_of_its_kind_as_long_as_its_peak() -> None:
    found = what_fits()
    drawn = sources_of(found)
    assert [len(drawn[kind]["right"]) for kind in ("fits", "slower", "too_big")] == [3, 1, 1]
    assert drawn["fits"]["right"].tolist() == pytest.approx([4.2, 7.6, 5.2])
    assert drawn["slower"]["right"].tolist() == pytest.approx([9.1])
    assert drawn["capacity"]["x"].tolist() == [8.0]


def test_the_smallest_change_that_fits_is_the_one_behind_which_the_answer_lies() -> None:
    found = what_fits()
    drawn = sources_of(found)
    (top,), (bottom,) = drawn["smallest"]["top"].tolist(), drawn["smallest"]["bottom"].tolist()
    assert found.changes[round((top + bottom) / 2)] == found.smallest
    assert [row.is_smallest for row in change_rows(found)] == [False, False, True, False, False]


def test_words_say_the_size_what_is_left_and_what_it_does() -> None:
    drawn = sources_of(what_fits())
    assert drawn["sizes"]["text"] == ["14.0", "9.1", "4.2", "7.6", "5.2"]
    assert drawn["left_over"]["text"] == ["3.8 GiB free", "410 MiB free", "2.8 GiB free"]
    assert drawn["lacking"]["text"] == ["too big", "with retries"]
    assert "BatchNorm sees 8" in drawn["effects"]["text"]


def test_shares_are_of_the_widest_bar_or_of_the_card() -> None:
    found = what_fits()
    assert max(row.share for row in change_rows(found)) == 1.0 and capacity_share(found) == pytest.approx(8 / 14)
    small = WhatFits.from_changes([change_of("", 2.0, 0.0)], batch_size=2, card=(8 * GIB, "8 GB card"))
    assert capacity_share(small) == 1.0 and change_rows(small)[0].share == 0.25


def test_it_is_plotted_like_any_result_also_when_nothing_is_known() -> None:
    assert plot(what_fits()).yaxis[0].major_label_overrides[0] == "as it is"
    empty = WhatFits.from_changes([], batch_size=2, card=(8 * GIB, "8 GB card"), outcome="stopped")
    assert len(sources_of(empty)["capacity"]["x"]) == 0


def test_the_picture_grows_with_the_changes() -> None:
    pytest.importorskip("matplotlib")
    few = WhatFits.from_changes(what_fits().changes[:2], batch_size=32, card=(8 * GIB, "8 GB card"))
    heights = []
    for found in (few, what_fits()):
        png = changes_png(found)
        assert png is not None
        width, height = struct.unpack(">II", png[16:24])
        assert width == 1640
        heights.append(height)
    assert heights[1] - heights[0] == pytest.approx(2 * 3 * 24, abs=2 * 22)
