"""The figure of a sweep: what each state of a curve looks like, in columns and in words."""

from __future__ import annotations

import io
import math
import struct
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, GlyphRenderer

from nbtune.engine.learning_rate.curve import LRCurve, LRSettings
from nbtune.engine.learning_rate.events import LRStep
from nbtune.plots import plot
from nbtune.plots.base.columns import View
from nbtune.plots.base.frame import fill
from nbtune.plots.base.labels import Label, place, text_px
from nbtune.plots.base.scale import decades, round_ticks
from nbtune.plots.base.sentence import words_of
from nbtune.plots.base.tokens import TOKENS, themed
from nbtune.plots.learning_rate.dispatch import lr_png
from nbtune.plots.learning_rate.sweep.figure import SOURCES, lr_figure, lr_view
from nbtune.plots.learning_rate.sweep.labels import FRAME_WIDTHS

INF, NAN = math.inf, math.nan


def valley(lr: float) -> float:
    """2.3, falling to 0.7 about η = 0.1, rising steeply from 0.3."""
    fall = 2.3 - 1.6 / (1 + (0.04 / lr) ** 2)
    return fall if lr <= 0.3 else fall + 2 * (lr / 0.3 - 1) ** 2


def curve_of(
    loss_at: Callable[[float], float],
    taken: int | None = None,
    *,
    steps: int = 100,
    range_: tuple[float, float] = (1e-5, 10.0),
    held_out: bool = False,
) -> LRCurve:
    """The first ``taken`` steps of a noiseless sweep; it diverged if its last loss is above 3 or not finite."""
    lrs = np.geomspace(*range_, steps)[:taken].tolist()
    events = [
        LRStep(
            index=i, lr=lr, loss=loss_at(lr), smoothed_loss=loss_at(lr), seconds=0.01 * i,
            validation_loss=loss_at(lr) if held_out else None,
            diverged=i == len(lrs) - 1 and not loss_at(lr) <= 3,
        )
        for i, lr in enumerate(lrs)
    ]  # fmt: skip
    settings = LRSettings(mode="quick", lr_min=range_[0], lr_max=range_[1], steps=steps)
    return LRCurve.from_steps(events, settings=settings)


def texts(view: View, prefix: str = "labels") -> list[str]:
    return [text for name, c in view.columns.items() if name.startswith(f"{prefix}_") for text in c["text"]]


def states() -> Iterator[tuple[LRCurve, bool]]:
    yield curve_of(valley, 0), True
    yield curve_of(valley, 3), True
    yield curve_of(valley, 56), True
    yield curve_of(valley, 81), False
    yield curve_of(valley, 62), False
    yield curve_of(lambda lr: 2.3), False
    yield curve_of(lambda lr: 10 * valley(lr) - 40, 81), False
    yield curve_of(lambda lr: valley(lr) if lr < 0.5 else INF, 79), False
    yield curve_of(lambda lr: NAN, 1), False
    yield curve_of(valley, range_=(0.02, 9.0)), False


def test_every_state_fills_exactly_the_promised_sources_with_doubles_or_strings() -> None:
    for curve, running in states():
        view = lr_view(curve, running=running)
        assert {name: tuple(columns) for name, columns in view.columns.items()} == SOURCES
        for column in (c for columns in view.columns.values() for c in columns.values()):
            assert all(isinstance(x, str) for x in column) if isinstance(column, list) else column.dtype == np.float64


def test_the_columns_of_a_source_are_equally_long_in_every_state() -> None:
    for curve, running in states():
        for columns in lr_view(curve, running=running).columns.values():
            assert len({len(column) for column in columns.values()}) == 1


def test_raw_points_hold_every_step_even_those_without_a_number() -> None:
    raw = lr_view(curve_of(lambda lr: valley(lr) if lr < 0.5 else NAN, 79)).columns["raw"]
    assert raw["step"].tolist() == list(range(1, 80))
    assert np.isnan(raw["y"]).sum() == 1


def test_a_long_sweep_is_thinned_to_two_thousand_points_that_keep_both_ends() -> None:
    curve = curve_of(valley, steps=5001)
    raw = lr_view(curve, running=True).columns["raw"]
    assert len(raw["x"]) == 2000
    assert raw["step"][[0, -1]].tolist() == [1, 5001]
    assert raw["x"][-1] == curve.lrs[-1]


def test_a_positive_loss_is_shown_from_zero_to_a_third_above_its_start() -> None:
    assert lr_view(curve_of(valley, 81)).y_range == pytest.approx((0, 1.35 * 2.3), rel=0.01)


def test_a_huge_loss_becomes_a_triangle_at_the_edge_and_leaves_the_range_alone() -> None:
    view = lr_view(curve_of(lambda lr: valley(lr) if lr < 0.5 else 1e30, 79))
    assert view.y_range[1] == pytest.approx(1.35 * 2.3, rel=0.01)
    assert view.columns["off"]["loss"].tolist() == [1e30]
    assert 0.9 * view.y_range[1] < view.columns["off"]["y"][0] < view.y_range[1]
    assert view.columns["rising"]["y"].max() < 1000


@pytest.mark.parametrize("loss", [INF, NAN])
def test_a_loss_without_a_number_is_off_the_scale(loss: float) -> None:
    view = lr_view(curve_of(lambda lr: valley(lr) if lr < 0.5 else loss, 79))
    assert view.columns["off"]["step"].tolist() == [79]
    assert "▲ off the scale" in texts(view)


def test_negative_losses_are_shown_from_below_their_minimum_to_above_their_start() -> None:
    view = lr_view(curve_of(lambda lr: valley(lr) - 40, 81))
    lowest, start = -40 + 0.74, -40 + 2.3
    assert lowest - 1 < view.y_range[0] < lowest
    assert start < view.y_range[1] < start + 2


def test_the_noise_of_a_level_negative_loss_does_not_fill_the_plot() -> None:
    bottom, top = lr_view(curve_of(lambda lr: -40 + 1e-3 * math.sin(1 / lr))).y_range
    assert top - bottom > 1


def test_a_loss_of_zero_throughout_still_has_a_range() -> None:
    bottom, top = lr_view(curve_of(lambda lr: 0.0)).y_range
    assert bottom < 0 < top


def test_the_curve_turns_at_the_rise_and_the_hatch_runs_from_there_to_the_edge() -> None:
    curve = curve_of(valley, 81)
    columns = lr_view(curve).columns
    assert columns["smooth"]["x"][-1] == columns["rising"]["x"][0] == columns["hatch"]["left"][0] == curve.rises_from
    assert columns["hatch"]["right"][0] > 10


def test_the_suggestion_is_marked_on_the_curve_and_named() -> None:
    curve = curve_of(valley, 81)
    view = lr_view(curve)
    assert view.columns["suggestion"]["x"].tolist() == [curve.suggestion]
    assert view.columns["suggestion"]["y"][0] == pytest.approx(valley(curve.suggestion or 0), rel=0.05)
    assert view.columns["band"]["left"][0] == curve.low
    assert texts(view) == [
        "loss at the start, 2.3", "suggested η = 0.044", "usable range 0.012 – 0.27", "loss rises from 0.53",
        "▲ off the scale",
    ]  # fmt: skip


def test_the_end_of_the_usable_range_in_the_label_is_that_of_the_result() -> None:
    curve = curve_of(valley, 81)
    assert curve.high == lr_view(curve).columns["band"]["right"][0]


def test_a_narrow_view_says_less() -> None:
    assert texts(lr_view(curve_of(valley, 81)), "narrow_labels") == [
        "loss at the start, 2.3", "η = 0.044", "loss rises",
    ]  # fmt: skip


def test_while_running_the_last_point_is_named_and_no_answer_is_shown() -> None:
    columns = (view := lr_view(curve_of(valley, 78), running=True)).columns
    assert columns["head"]["x"].tolist() == [columns["raw"]["x"][-1]]
    assert any(text.startswith("step 78: η = 0.46, loss 1.") for text in texts(view))
    assert not any(len(columns[name]["bottom"]) for name in ("suggestion", "band", "hatch", "untried"))


def test_a_stopped_sweep_shows_what_was_not_tried() -> None:
    columns = (view := lr_view(curve_of(valley, 62))).columns
    assert columns["untried"]["left"].tolist() == [columns["raw"]["x"][-1]]
    assert columns["untried"]["right"][0] > 10
    assert "not tried" in texts(view)
    assert len(columns["band"]["left"]) == len(columns["suggestion"]["x"]) == 0


def test_a_flat_curve_says_so_and_nothing_else() -> None:
    view = lr_view(curve_of(lambda lr: 2.3, range_=(1e-9, 1e-6)))
    assert texts(view) == ["flat: no rate changed the loss by more than chance"]
    assert len(view.columns["start"]["y"]) == 0


def test_the_label_for_screen_readers_is_the_result() -> None:
    assert lr_view(curve_of(valley, 81)).label == (
        "Loss against learning rate, 81 steps from 1e-5 to 0.71. "
        "Flat at 2.3 up to 0.012, lowest 0.74 at 0.27, rises from 0.53. Suggested 0.044."
    )


def test_the_label_of_an_empty_figure_names_the_range() -> None:
    assert lr_view(curve_of(valley, 0)).label == "Loss against learning rate, 1e-5 to 10. No steps yet."


def test_no_two_labels_of_any_length_of_sweep_touch() -> None:
    for taken in range(5, 82):
        for prefix, width in FRAME_WIDTHS.items():
            boxes = list(_label_boxes(lr_view(curve_of(valley, taken)), prefix, width))
            for i, (left, right, y) in enumerate(boxes):
                assert left >= 0 and right <= width
                assert not any(left < r and x < right and abs(y - other) < 18 for x, r, other in boxes[:i])


def _label_boxes(view: View, prefix: str, width: float) -> Iterator[tuple[float, float, float]]:
    left_edge, right_edge = -5 - 6 * 0.016, 1 + 6 * 0.016
    for name, c in view.columns.items():
        for i in range(len(c["text"]) if name.startswith(f"{prefix}_") else 0):
            wide = text_px(c["text"][i], c["weight"][i] == "bold")
            left = (math.log10(c["x"][i]) - left_edge) / (right_edge - left_edge) * width
            left -= {"left": 0.0, "center": wide / 2, "right": wide}[c["align"][i]]
            yield left, left + wide, (view.y_range[1] - c["y"][i]) / (view.y_range[1] - view.y_range[0]) * 220


def test_a_label_takes_its_next_place_where_the_first_is_taken() -> None:
    label = Label("loss", "muted", ((10, 20, "left"), (10, 60, "left")))
    assert [p.y for p in place([label, label], 100, 100)] == [20, 60]


def test_a_label_without_a_free_place_is_dropped_only_if_it_may_be() -> None:
    places = ((90.0, 20.0, "left"),)
    droppable = Label("loss", "muted", places, droppable=True)
    assert [p.label.droppable for p in place([droppable, Label("loss", "muted", places)], 100, 100)] == [False]


def test_filling_a_figure_puts_every_point_into_its_sources() -> None:
    fig, view = lr_figure(1e-5, 10.0), lr_view(curve_of(valley, 81))
    fill(fig, view)
    sources = {s.name: s for s in fig.select({"type": ColumnDataSource})}
    assert set(sources) == set(SOURCES)
    assert len(sources["raw"].data["x"]) == 81
    assert (fig.y_range.start, fig.y_range.end) == view.y_range


def test_new_data_change_nothing_but_columns_and_the_loss_range() -> None:
    fig = lr_figure(1e-5, 10.0)
    before = _properties(fig)
    fill(fig, lr_view(curve_of(valley, 81)))
    after = _properties(fig)
    assert {key[1:] for key in before if before[key] != after[key]} <= {("data",), ("start",), ("end",)}
    assert fig.x_range.start < 1e-5 and fig.x_range.end > 10


def _properties(fig: object) -> dict[tuple[str, str], str]:
    models = fig.references()  # type: ignore[attr-defined]
    return {(m.id, name): repr(value) for m in models for name, value in m.properties_with_values().items()}


def test_every_mark_and_axis_names_the_tokens_of_its_colours() -> None:
    fig = lr_figure(1e-5, 10.0)
    glyphs = [r.glyph for r in fig.select({"type": GlyphRenderer})]
    assert len(glyphs) == 25
    for model in [*glyphs, *fig.axis, fig.ygrid[0]]:
        (tag,) = model.tags
        assert set(tag["theme"].values()) <= set(TOKENS["dark"])


def test_both_themes_have_the_same_tokens() -> None:
    assert set(TOKENS["light"]) == set(TOKENS["dark"])


def test_theming_a_model_twice_keeps_both_notes_and_other_tags() -> None:
    axis = lr_figure(1e-5, 10.0).xaxis[0]
    axis.tags = ["mine"]
    themed(themed(axis, axis_line_color="ink"), axis_label_text_color="muted")
    assert axis.tags == ["mine", {"theme": {"axis_line_color": "ink", "axis_label_text_color": "muted"}}]
    assert axis.axis_line_color == TOKENS["light"]["ink"]


def test_the_rate_axis_is_labelled_at_decades_as_one_would_type_them() -> None:
    axis = lr_figure(1e-5, 10.0).xaxis[0]
    assert [axis.major_label_overrides[tick] for tick in axis.ticker.ticks] == [
        "1e-5", "1e-4", "0.001", "0.01", "0.1", "1", "10",
    ]  # fmt: skip


def test_a_sweep_within_one_decade_is_labelled_at_its_ends() -> None:
    assert decades(0.2, 0.8) == [0.2, 0.8]


def test_no_range_of_losses_has_more_than_four_ticks() -> None:
    for top in np.geomspace(1e-6, 1e6, 500):
        assert 2 <= len(round_ticks(0.0, float(top))) <= 4


def test_the_loss_axis_says_which_loss_it_shows() -> None:
    assert plot(curve_of(valley, 81)).yaxis[0].axis_label == "training loss"
    assert plot(curve_of(valley, 81, held_out=True)).yaxis[0].axis_label == "held-out loss"


def test_a_plot_of_a_curve_can_be_sent_to_a_browser() -> None:
    document = Document()
    document.add_root(plot(curve_of(lambda lr: valley(lr) if lr < 0.5 else INF, 79)))
    assert document.to_json(deferred=False)["roots"]


def test_plotting_something_else_names_what_can_be_plotted() -> None:
    with pytest.raises(TypeError, match="no plot of a dict; it draws LRByBatchSize, LRByOptimizer, LRCurve"):
        plot({})


@pytest.mark.slow
def test_the_picture_has_room_for_the_plot_and_its_sentence_in_every_state() -> None:
    pytest.importorskip("matplotlib")
    for curve, _ in states():
        png = lr_png(curve)
        assert png is not None
        width, height = struct.unpack(">II", png[16:24])
        assert width == 1640
        assert height in (2 * (272 + 8 + 22), 2 * (272 + 8 + 44))


def test_the_picture_says_the_sentence_in_words_that_stay_inside() -> None:
    pytest.importorskip("matplotlib")
    for curve, _ in states():
        words = words_of(curve, "ink", curve.theory)
        assert " ".join(w.text for w in words).startswith(curve.verdict)
        assert all(curve.reason.split()[-1] in text for text in [" ".join(w.text for w in words)])
        assert all(w.x < 820 for w in words)


def test_the_picture_shows_the_suggestion_in_green() -> None:
    pytest.importorskip("matplotlib")
    with_answer, without = (_green_pixels(lr_png(curve_of(valley, n))) for n in (81, 62))
    assert with_answer > 1000
    assert without == 0


def _green_pixels(png: bytes | None) -> int:
    from matplotlib.image import imread

    pixels = np.round(imread(io.BytesIO(png or b""), format="png")[..., :3] * 255)
    return int((pixels == [0x00, 0x9E, 0x73]).all(axis=-1).sum())


def test_without_matplotlib_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert lr_png(curve_of(valley, 81)) is None
