"""The figure, table and picture of a comparison: what each state of it looks like, in columns and in words."""

from __future__ import annotations

import io
import math
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, GlyphRenderer
from comparison_results import QUARTET, SAMPLES, TRIO, comparison_of, diverged, failed

from nbtune.engine.comparison import training_run
from nbtune.engine.comparison.result import Comparison
from nbtune.plots import plot
from nbtune.plots.base.columns import View
from nbtune.plots.base.labels import text_px
from nbtune.plots.base.series import LOOKS
from nbtune.plots.base.tokens import TOKENS
from nbtune.plots.comparison import scene as comparison_scene
from nbtune.plots.comparison.figure import SOURCES, comparison_figure, comparison_view
from nbtune.plots.comparison.labels import LABEL_COLOURS
from nbtune.plots.comparison.picture import comparison_png
from nbtune.plots.comparison.rows import series_of, summary_rows
from nbtune.plots.comparison.scene import AXES, FRAME_HEIGHT, FRAME_WIDTHS, MAX_POINTS
from nbtune.plots.comparison.ticks import log_ticks

MANY = {2**i: 0.1 for i in range(0, 11, 2)}


def states() -> Iterator[tuple[Comparison, bool]]:
    yield comparison_of(share=0.0), True
    yield comparison_of(share=0.0003), True
    yield comparison_of(QUARTET, share=0.05), True
    yield comparison_of(QUARTET, share=0.3), False
    yield comparison_of(), False
    yield comparison_of({1: 0.01, 64: 0.3}, seeds=1, held_out=False), False
    yield comparison_of({32: 0.1}, seeds=1), False
    yield comparison_of(MANY), False
    yield diverged(), False
    yield failed(), False
    yield comparison_of(ended=dict.fromkeys(TRIO, (0.0, "Out of memory."))), False
    yield comparison_of(ended=dict.fromkeys(TRIO, (0.4, "diverged"))), False
    yield comparison_of(shift=-2.0), False
    yield comparison_of(settings={"budget": "60 s", "target_loss": 0.1}), True
    yield comparison_of(settings={"budget": "2000 updates", "target_loss": 1e-9}), False


def texts(view: View, prefix: str = "labels") -> list[str]:
    return [text for name, c in view.columns.items() if name.startswith(f"{prefix}_") for text in c["text"]]


def words(view: View) -> dict[str, str]:
    return {name: column[0] for name, column in view.columns["words"].items()}


def boxes(view: View, prefix: str) -> list[tuple[float, float, float, float]]:
    """left, top, right, bottom of every label, in px of its frame."""
    (left, right), (bottom, top), width = view.x_range, view.y_range, FRAME_WIDTHS[prefix]
    found = []
    for colour in LABEL_COLOURS:
        c = view.columns[f"{prefix}_{colour}"]
        for x, y, text, align, weight in zip(c["x"], c["y"], c["text"], c["align"], c["weight"], strict=True):
            wide, px = text_px(text, weight == "bold"), (x - left) / (right - left) * width
            start = px - {"left": 0, "center": wide / 2, "right": wide}[align]
            row = (top - y) / (top - bottom) * FRAME_HEIGHT
            found.append((start, row - 8.9, start + wide, row + 8.9))
    return found


def test_every_state_fills_exactly_the_promised_sources_with_doubles_or_strings() -> None:
    for comparison, running in states():
        for axis in AXES:
            view = comparison_view(comparison, axis=axis, running=running, held_out=True)
            assert {name: set(columns) for name, columns in view.columns.items()} == {
                name: set(names) for name, names in SOURCES.items()
            }
            for columns in view.columns.values():
                assert len({len(column) for column in columns.values()}) == 1
                for c in columns.values():
                    assert all(isinstance(x, str) for x in c) if isinstance(c, list) else c.dtype == np.float64


def test_the_words_are_sent_after_the_ticks_since_they_make_the_browser_write_both() -> None:
    names = list(comparison_view(comparison_of()).columns)
    assert names.index("words") > max(names.index(name) for name in ("ticks", "narrow_ticks", "y_ticks"))


@pytest.mark.parametrize("prefix", FRAME_WIDTHS)
def test_labels_never_lie_on_one_another_nor_leave_the_frame(prefix: str) -> None:
    for comparison, running in states():
        for axis in AXES:
            found = boxes(comparison_view(comparison, axis=axis, running=running), prefix)
            for i, a in enumerate(found):
                assert a[0] >= 0 and a[2] <= FRAME_WIDTHS[prefix] and a[1] >= 0 and a[3] <= FRAME_HEIGHT
                assert not any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in found[:i])


def test_the_loss_axis_and_the_colours_are_the_same_for_every_x_axis() -> None:
    for comparison, running in states():
        views = [comparison_view(comparison, axis=axis, running=running) for axis in AXES]
        assert len({view.y_range for view in views}) == 1
        for name in (f"line_{slot}" for slot in LOOKS):
            assert all(np.array_equal(v.columns[name]["y"], views[0].columns[name]["y"], True) for v in views)


@pytest.mark.parametrize("axis", ["samples", "updates"])
def test_the_x_axis_reaches_to_the_end_of_the_budget_before_the_first_loss(axis: str) -> None:
    ranges = {comparison_view(comparison_of(share=s), axis=axis).x_range for s in (0.0, 0.001, 0.1, 1.0)}
    assert len(ranges) == 1
    low, high = ranges.pop()
    assert low < math.log10(16 if axis == "samples" else 1) and high > math.log10(SAMPLES)


def test_an_axis_of_seconds_grows_in_steps_to_what_is_expected_or_seen() -> None:
    ranges = [comparison_view(comparison_of(share=s), axis="seconds", running=True).x_range for s in (0.9, 0.95, 1)]
    assert len(set(ranges)) == 1
    begun = comparison_of(share=0.01)
    assert comparison_view(begun, axis="seconds", running=True, x_end=30.0).x_range[1] > math.log10(50)


def test_an_axis_of_seconds_ends_with_a_budget_of_seconds() -> None:
    views = [
        comparison_view(comparison_of(share=s, settings={"budget": "60 s"}), axis="seconds").x_range
        for s in (0.5, 1)
    ]  # fmt: skip
    assert views[0][1] == views[1][1] > math.log10(60)


def test_an_axis_nobody_knows_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="samples, updates, seconds, not 'epochs'"):
        comparison_view(comparison_of(), axis="epochs")


def test_the_smallest_k_is_purple_the_largest_ochre_and_the_one_between_blue() -> None:
    assert [(s.token, s.marker, s.dash) for s in series_of(comparison_of())] == [
        ("series2", "square", "dashed"), ("data", "circle", "solid"), ("series3", "triangle", "dotted"),
    ]  # fmt: skip
    assert [s.slot for s in series_of(comparison_of({1: 0.1, 8: 0.1}))] == ["low", "high"]
    assert [s.slot for s in series_of(comparison_of({8: 0.1}))] == ["middle"]


def test_of_more_than_three_k_the_ends_and_the_selected_one_are_coloured_and_all_are_named() -> None:
    comparison = comparison_of(MANY)
    assert [s.slot for s in series_of(comparison, selected=16)] == ["low", "rest", "middle", "rest", "rest", "high"]
    assert [s.slot for s in series_of(comparison, running=True)] == ["low", "rest", "rest", "rest", "rest", "high"]
    assert {f"k = {k}" for k in MANY} <= set(texts(comparison_view(comparison, selected=16)))


def test_a_run_that_diverged_leaves_the_frame_by_triangles_and_ends_in_a_cross() -> None:
    view = comparison_view(diverged())
    assert len(view.columns["off"]["x"]) > 0 and len(view.columns["ended"]["x"]) == 1
    assert view.columns["off"]["y"].max() < view.y_range[1] < math.log10(5)
    assert "k = 1 diverged" in texts(view) and "k = 1" not in texts(view)
    assert view.label == "Loss against samples for k = 1, 32, 512. At the end diverged, 0.0017, 0.25."


def test_a_k_without_one_point_is_named_all_the_same() -> None:
    view = comparison_view(failed())
    assert "k = 512 failed at once" in texts(view) and len(view.columns["line_high"]["x"]) == 0
    assert view.label.endswith("At the end 0.0017, 0.0016, failed.")


def test_losses_below_0_are_drawn_on_a_plain_axis() -> None:
    view = comparison_view(comparison_of(shift=-2.0))
    assert words(view)["y_title"] == "training loss"
    assert view.y_range[0] < -2 < 0.5 < view.y_range[1]
    assert "−2" in view.columns["y_ticks"]["text"]


def test_a_loss_of_exactly_0_leaves_the_axis_logarithmic() -> None:
    comparison = comparison_of({32: 0.1}, seeds=1)
    run = comparison.curves[0]
    ends_at_0 = replace(run, losses=(*run.losses[:-1], 0.0))
    view = comparison_view(Comparison.from_curves([ends_at_0], settings=comparison.settings))
    assert words(view)["y_title"] == "training loss (log scale)"
    assert np.isfinite(view.columns["line_middle"]["y"]).all()


def test_the_target_is_drawn_when_the_run_has_ended_or_somebody_chose_it() -> None:
    assert not any("target" in text for text in texts(comparison_view(comparison_of(share=0.5), running=True)))
    assert "target loss 0.08" in texts(comparison_view(comparison_of()))
    chosen = comparison_of(share=0.5, settings={"target_loss": 0.1})
    assert "target loss 0.1" in texts(comparison_view(chosen, running=True))


def test_the_caption_says_what_is_equal_and_fits_at_either_width() -> None:
    assert words(comparison_view(comparison_of()))["wide"] == (
        "equal samples: 56\u202f000 each · mean of 3 seeds, band: lowest to highest"
    )
    alone = comparison_of(seeds=1, settings={"budget": "10 s"})
    assert words(comparison_view(alone))["wide"] == "equal time: 10 s each · one seed"
    assert (
        "equal updates: 400 each" in words(comparison_view(comparison_of(settings={"budget": "400 updates"})))["wide"]
    )
    for comparison, running in states():
        for held_out in (False, True):
            said = words(comparison_view(comparison, running=running, held_out=held_out))
            # A narrow frame's caption may begin where the numbers of its axis do.
            assert 5.8 * len(said["wide"]) <= FRAME_WIDTHS["labels"]
            assert 5.8 * len(said["narrow"]) <= FRAME_WIDTHS["narrow_labels"]


def test_held_out_losses_are_drawn_on_demand_and_named_above() -> None:
    without, with_them = comparison_view(comparison_of()), comparison_view(comparison_of(), held_out=True)
    assert len(without.columns["held_out_low"]["x"]) == 0 < len(with_them.columns["held_out_low"]["x"])
    assert words(with_them)["y_title"] == "loss (log scale)" and "held-out" in words(with_them)["wide"]


def test_a_band_needs_more_than_one_seed() -> None:
    assert len(comparison_view(comparison_of()).columns["band_low"]["x"]) > 0
    assert len(comparison_view(comparison_of(seeds=1)).columns["band_low"]["x"]) == 0


def test_the_markers_of_a_growing_curve_stay_on_their_points() -> None:
    half, more = (comparison_view(comparison_of(share=s), running=True).columns["marks_low"]["x"] for s in (0.1, 0.5))
    assert set(half[:-1]) <= set(more)


def test_long_curves_are_thinned_and_keep_their_last_point() -> None:
    comparison = comparison_of(dict.fromkeys(range(1, 61), 0.1), seeds=2, samples=6000)
    view = comparison_view(comparison, held_out=True)
    drawn = sum(
        len(c["x"]) for name, c in view.columns.items() if name.split("_")[0] in ("line", "band", "held", "hit")
    )
    assert drawn <= MAX_POINTS + 4 * 60
    assert max(view.columns["line_low"]["x"]) == pytest.approx(math.log10(6000))


@pytest.mark.parametrize(
    ("low", "high"), [(-0.5, 0.5), (-3.2, 0.6), (0.5, 1.2), (-9, 1), (2.0, 2.6), (-1.0, 0.3), (0, 0.35)]
)
def test_an_axis_has_two_to_four_ticks_on_any_range(low: float, high: float) -> None:
    assert 1 < len(log_ticks(low, high, 4)) <= 4


def test_the_tooltips_numbers_are_those_of_the_engine() -> None:
    comparison = comparison_of({32: 0.1}, seeds=1)
    hit, curve = comparison_view(comparison).columns["hit"], comparison.by_batch_size[0]
    assert hit["loss"].tolist() == list(curve.losses) and hit["samples"].tolist() == list(curve.samples_seen)
    assert set(hit["k"]) == {32.0} and np.isnan(hit["held_out"][1]) and hit["held_out"][0] == curve.held_out_losses[0]


def test_the_table_has_a_cell_per_k_in_every_state() -> None:
    for comparison, running in states():
        count = len(series_of(comparison))
        assert all(len(cells) == count for _, cells in summary_rows(comparison, running=running))


def test_the_table_says_what_ended_early_and_leaves_out_what_nobody_asked_for() -> None:
    rows = dict(summary_rows(diverged()))
    assert rows["loss at the end"] == ["diverged", "0.0017", "0.25"]
    target = next(name for name in rows if name.startswith("samples to loss"))
    assert rows[target][0] == "–" and rows[target][1] != "–"
    assert rows["updates per epoch"] == ["1\u202f400", "43", "2"]
    assert "held-out loss" not in dict(summary_rows(comparison_of(held_out=False)))
    assert not any("memory" in name for name in rows)


def test_memory_is_in_one_unit_for_all_k() -> None:
    known = Comparison.from_curves(comparison_of().curves, memory={1: 40 * 2**20, 32: 2**30, 512: 9 * 2**30})
    assert dict(summary_rows(known))["predicted memory, GiB"] == ["< 0.1", "1.0", "9.0"]


def test_a_running_comparison_times_no_target_that_may_still_change() -> None:
    rows = dict(summary_rows(comparison_of(share=0.1), running=True))
    assert rows["samples to the target"] == ["–"] * 3 and "loss so far" in rows


def test_the_finished_figure_of_a_comparison_has_all_its_columns_and_axes() -> None:
    for comparison in (comparison_of(), comparison_of(share=0.0), diverged()):
        fig = plot(comparison)
        document = Document()
        document.add_root(fig)
        assert {s.name for s in fig.select({"type": ColumnDataSource})} >= set(SOURCES)
        assert fig.xaxis[0].ticker.ticks and fig.yaxis[0].ticker.ticks and fig.yaxis[0].axis_label
        document.to_json()


def test_every_mark_but_the_tooltips_is_coloured_by_the_theme() -> None:
    for renderer in comparison_figure().select({"type": GlyphRenderer}):
        noted = [tag["theme"] for tag in renderer.glyph.tags if "theme" in tag]
        assert renderer.name == "hit" or set(noted[0].values()) <= set(TOKENS["light"])


@pytest.mark.slow
@pytest.mark.parametrize("axis", AXES)
def test_the_picture_is_drawn_in_every_state(axis: str) -> None:
    for comparison, _ in list(states())[:: 2 if axis == "samples" else 7]:
        png = comparison_png(comparison, axis=axis, held_out=True)
        assert png is not None
        width, height = struct.unpack(">II", io.BytesIO(png).read(24)[16:])
        assert width == 1640 and 524 <= height <= 1400


def test_without_matplotlib_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert comparison_png(comparison_of()) is None


def test_the_axis_begins_where_the_engine_s_first_point_can_lie() -> None:
    assert comparison_scene.FIRST_SAMPLES == training_run.FIRST_SAMPLES
