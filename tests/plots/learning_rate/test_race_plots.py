"""The two figures of a race: what each state of it looks like, in columns and in words."""

from __future__ import annotations

import io
import math
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS, GlyphRenderer
from race_results import LossOf, bowl, doubtful, flat, hidden, plateau, race_of

from nbtune.engine.curvature.estimate import Curvature
from nbtune.engine.learning_rate.curve import LRCurve, LRSettings
from nbtune.engine.learning_rate.race.standings import END, ENDS
from nbtune.formats import format_lr
from nbtune.plots import plot
from nbtune.plots.base.columns import View
from nbtune.plots.base.frame import fill
from nbtune.plots.base.labels import LABEL_COLOURS, Label, all_fit, text_px
from nbtune.plots.base.tokens import TOKENS
from nbtune.plots.learning_rate.dispatch import lr_png
from nbtune.plots.learning_rate.pair import FRAME_HEIGHT, FRAME_WIDTHS
from nbtune.plots.learning_rate.race import scene as race_scene
from nbtune.plots.learning_rate.race.figure import COURSE, SCORES, race_figures, race_view

INF, NAN = math.inf, math.nan
KINDS = {"course": COURSE, "scores": SCORES}


def partial(curve: LRCurve, count: int) -> LRCurve:
    """The first ``count`` events: some rates are ahead of others."""
    return LRCurve.from_steps(curve.steps[:count], settings=curve.settings)


def broken_from(loss: float, least: float = 0.5, at: int = 2) -> LossOf:
    return lambda lr, step: loss if lr >= least and step >= at else bowl(lr, step)


@cache
def states() -> tuple[tuple[LRCurve, bool], ...]:
    """(curve, whether it is running) of all that a race can come to."""
    return tuple(_states())


def _states() -> Iterator[tuple[LRCurve, bool]]:
    yield race_of(until=0), True
    for until in (1, 3, 5, 12, 30):
        yield race_of(until=until), True
        yield race_of(until=until), False
    yield partial(race_of(), 100), True
    yield partial(race_of(), 150), True
    yield race_of(), False
    yield race_of(plateau), False
    yield race_of(doubtful), False
    yield race_of(hidden), False
    yield race_of(plateau, 60), True
    yield race_of(flat), False
    yield race_of(flat, lr_min=1e-9, lr_max=1e-6), False
    for loss in (INF, NAN, -INF, 1e30):
        yield race_of(broken_from(loss)), False
        yield race_of(broken_from(loss, at=0)), False
        yield race_of(lambda lr, step, loss=loss: loss if lr and step > 1 else 2.3), False
        yield race_of(lambda lr, step, loss=loss: loss), False
    yield race_of(lambda lr, step: bowl(lr, step) - 40), False
    yield race_of(lambda lr, step: 0.0), False
    yield race_of(rates=4), False
    yield race_of(rates=30), False
    yield race_of(rates=6, lr_min=0.02, lr_max=0.4), False
    yield race_of(lr_min=5.0, lr_max=1e4), False
    for lr in (0.2, 0.033, 1e-7, 1e3):
        yield with_theory(race_of(), lr), False
    yield over_orders(bowl, lambda lr, step: 1.1 * bowl(lr * 2, step), broken_from(INF)), False
    yield over_orders(bowl, plateau), True


def with_theory(curve: LRCurve, lr: float, rule: str = "2/λmax") -> LRCurve:
    return replace(curve, curvature=Curvature(limit_lr=lr, rule=rule, meaning="it overshoots", relative_error=0.01))


def over_orders(*losses: LossOf) -> LRCurve:
    """One race per order of the data."""
    steps = [replace(step, repeat=r) for r, loss_of in enumerate(losses) for step in race_of(loss_of).steps]
    return LRCurve.from_steps(steps, settings=LRSettings(repeats=len(losses)))


def texts(view: View, prefix: str = "labels") -> list[str]:
    return [t for colour in LABEL_COLOURS for t in view.columns[f"{prefix}_{colour}"]["text"]]


def x_values(view: View, *names: str) -> list[float]:
    return sorted(x for name in names for x in view.columns[name]["x"].tolist())


def boxes(view: View, prefix: str, is_log: bool) -> list[tuple[float, float, float, float]]:
    """left, top, right, bottom of every label, in px of its frame."""
    scale: Callable[[float], float] = math.log if is_log else float
    (left_end, right_end), (bottom, top) = map(scale, view.x_range), view.y_range
    found = []
    for colour in LABEL_COLOURS:
        c = view.columns[f"{prefix}_{colour}"]
        for i, text in enumerate(c["text"]):
            wide = text_px(text, c["weight"][i] == "bold")
            left = (scale(c["x"][i]) - left_end) / (right_end - left_end) * FRAME_WIDTHS[prefix]
            left -= {"left": 0.0, "center": wide / 2, "right": wide}[c["align"][i]]
            row = (top - c["y"][i]) / (top - bottom) * FRAME_HEIGHT
            found.append((left, row - 8, left + wide, row + 8))
    return found


# The contract


def test_the_plots_know_when_rounds_end() -> None:
    assert (race_scene.ROUND_ENDS, race_scene.SETTLED_END) == (ENDS, END)


def test_every_state_fills_exactly_the_promised_sources_with_doubles_or_strings() -> None:
    for curve, running in states():
        for kind, view in race_view(curve, running=running).items():
            assert {name: set(columns) for name, columns in view.columns.items()} == {
                name: set(columns) for name, columns in KINDS[kind].items()
            }
            for columns in view.columns.values():
                assert len({len(column) for column in columns.values()}) == 1
                for column in columns.values():
                    is_text = isinstance(column, list)
                    assert all(isinstance(x, str) for x in column) if is_text else column.dtype == np.float64


def test_both_plots_share_the_loss_axis_in_every_state() -> None:
    for curve, running in states():
        course, scores = race_view(curve, running=running).values()
        assert course.y_range == scores.y_range and course.y_range[0] < course.y_range[1]


def test_no_column_holds_an_infinite_or_a_huge_number() -> None:
    for curve, running in states():
        for view in race_view(curve, running=running).values():
            span = view.y_range[1] - view.y_range[0]
            for columns in view.columns.values():
                for name in {"y", "low", "high", "top", "bottom"} & set(columns):
                    column = columns[name]
                    assert not np.isinf(column).any()
                    assert (np.abs(column[~np.isnan(column)] - view.y_range[0]) <= 60 * span).all()


def test_a_whole_race_is_some_five_hundred_numbers() -> None:
    view = race_view(race_of(plateau))["course"]
    assert sum(c.size for columns in view.columns.values() for c in columns.values() if not isinstance(c, list)) < 1500


# Where everybody is


@pytest.mark.parametrize("kind", ["course", "scores"])
def test_every_rate_that_has_steps_has_its_mark(kind: str) -> None:
    for curve, running in states():
        view = race_view(curve, running=running)[kind]
        told = [c for c in curve.candidates if c.score is not None or c.left_after is not None]
        if kind == "scores":
            marks = x_values(view, "alive", "leader", "crosses", "worse_crosses", "off")
            assert marks == sorted(c.lr for c in told)
        else:
            lines = ("out0", "out1", "out2", "worse", "alive", "leader")
            ends = sum(int(np.isnan(view.columns[name]["x"]).sum()) for name in lines)
            assert ends == sum(bool(c.losses) for c in curve.candidates)


def test_losers_end_in_a_cross_where_they_left_and_fade_by_their_round() -> None:
    view = race_view(race_of())["course"]
    assert set(x_values(view, "crosses")) <= {5, 12, 30} and len(view.columns["crosses"]["x"]) >= 3
    last = [np.nanmax(view.columns[f"out{group}"]["x"]) for group in (0, 1, 2) if len(view.columns[f"out{group}"]["x"])]
    assert last == sorted(last) and last[0] == 5


def test_a_rate_that_raised_the_loss_is_dashed_and_never_among_the_calm() -> None:
    curve = race_of()
    view = race_view(curve)["scores"]
    harmful = {c.lr for c in curve.candidates if c.is_harmful}
    assert (
        harmful
        and harmful <= set(x_values(view, "worse_crosses", "off"))
        and not harmful & set(x_values(view, "crosses"))
    )


@pytest.mark.parametrize("loss", [INF, NAN, -INF, 1e30])
def test_a_loss_off_the_scale_is_a_triangle_at_the_upper_edge_of_both(loss: float) -> None:
    for at in (0, 2, 4):
        views = race_view(race_of(broken_from(loss, at=at)))
        for view in views.values():
            bottom, top = view.y_range
            assert len(view.columns["off"]["y"]) and (view.columns["off"]["y"] < top).all()
            assert (view.columns["off"]["y"] > top - 0.05 * (top - bottom)).all()
        assert {1.0, 3.162, 10.0} <= set(views["scores"].columns["off"]["x"])
        assert "▲ off the scale" in texts(views["scores"])


@pytest.mark.parametrize("loss", [INF, NAN, -INF])
def test_a_line_that_ends_without_a_number_leaves_through_the_top(loss: float) -> None:
    view = race_view(race_of(broken_from(loss, least=5.0, at=3)))["course"]
    worse = view.columns["worse"]
    (end,) = (i for i in range(len(worse["x"])) if worse["x"][i] == 4 and math.isnan(worse["x"][i + 1]))
    assert worse["y"][end] > 10 * view.y_range[1]


def test_a_survivor_off_the_scale_is_not_lost_from_sight() -> None:
    curve = race_of(lambda lr, step: 2.3 if lr == 0 else 10.0 + lr)
    assert any(c.left_after is None for c in curve.candidates)
    views = race_view(curve)
    assert len(views["scores"].columns["off"]["x"]) == 13 and ENDS[-1] in views["course"].columns["off"]["x"]


def test_a_survivors_end_on_the_left_is_level_with_its_score_on_the_right() -> None:
    curve = race_of(lambda lr, step: 2.3 if lr == 0 else max(0.5, 2.3 - step * 0.1 - lr))
    views = race_view(curve)
    ends = views["course"].columns["leader"]["y"]
    assert ends[~np.isnan(ends)][-1] == pytest.approx(views["scores"].columns["leader"]["y"][0])


def test_the_first_rounds_scores_of_all_rates_are_the_line_behind() -> None:
    curve = race_of()
    first = race_view(curve)["scores"].columns["first"]
    assert first["x"].tolist() == list(curve.settings.race_lrs)
    assert first["y"][3] == pytest.approx(np.mean(curve.candidates[3].losses[2:5]))
    assert not len(race_view(race_of(until=4), running=True)["scores"].columns["first"]["x"])


def test_whiskers_are_two_standard_errors_about_the_score() -> None:
    curve = race_of(lambda lr, step: bowl(lr, step) + (0.6 * math.sin(5 * step) if lr > 0.02 else 0.0))
    whisker = race_view(curve)["scores"].columns["whisker"]
    errors = {c.lr: (c.score, c.score_error) for c in curve.candidates if c.left_after is None}
    assert len(whisker["x"])
    for lr, low, high in zip(*whisker.values(), strict=True):
        score, error = errors[lr]
        assert score is not None and error is not None
        assert (low, high) == pytest.approx((score - 2 * error, score + 2 * error))


def test_the_dotted_line_is_the_loss_without_training() -> None:
    curve = race_of()
    for view in race_view(curve).values():
        assert view.columns["start"]["y"].tolist() == [curve.start_loss]
    assert "no training" in texts(race_view(curve)["course"])


# The axes


def test_the_left_axis_holds_45_steps_and_a_plateau_all_100() -> None:
    assert 45 < race_view(race_of())["course"].x_range[1] < 70
    assert 100 < race_view(race_of(plateau))["course"].x_range[1] < 150
    assert race_view(race_of(plateau, 45), running=True)["course"].x_range[1] < 70


def test_the_axes_of_a_running_race_stay_where_they_are_between_rounds() -> None:
    race = race_of()
    ranges = [race_view(race_of(until=n), running=True)["scores"].y_range for n in range(12, 30)]
    assert len(set(ranges)) == 1
    assert {race_view(partial(race, n), running=True)["scores"].x_range for n in range(0, 200, 20)} == {
        race_view(race)["scores"].x_range
    }


def test_an_answer_below_the_lowest_rate_is_still_on_the_axis() -> None:
    curve = race_of(rates=6, lr_min=0.02, lr_max=0.4)
    left, right = race_view(curve)["scores"].x_range
    assert curve.low is not None and curve.low < 0.02 and left <= curve.low and right >= 0.4


def test_negative_losses_are_shown_from_below_their_minimum_to_above_their_start() -> None:
    curve = race_of(lambda lr, step: bowl(lr, step) - 40)
    bottom, top = race_view(curve)["scores"].y_range
    assert bottom < min(c.losses[-1] for c in curve.candidates if c.left_after is None) and -37.7 < top < -36


# The answer


def test_a_finished_race_shows_its_answer_its_range_and_its_peak() -> None:
    curve = race_of()
    assert curve.suggestion is not None and curve.fit
    view = race_view(curve)["scores"]
    columns = view.columns
    assert columns["suggestion"]["x"].tolist() == [curve.suggestion]
    assert columns["peak"]["x"].tolist() == [curve.peak]
    assert (columns["band"]["left"][0], columns["band"]["right"][0]) == (curve.low, curve.high)
    assert columns["fit"]["x"].tolist() == [lr for lr, _ in curve.fit]
    words = " ".join(texts(view))
    assert "η = 0.0" in words and "good 0.0" in words and "one-cycle peak 0.0" in words


def test_the_peak_is_a_short_tick_and_the_suggestion_the_whole_height() -> None:
    columns = race_view(race_of())["scores"].columns
    height = {name: float(columns[name]["top"][0] - columns[name]["bottom"][0]) for name in ("suggestion", "peak")}
    assert height["peak"] < 0.1 * height["suggestion"]


def test_neither_line_nor_band_without_an_answer_or_while_it_runs() -> None:
    for curve, running in states():
        columns = race_view(curve, running=running)["scores"].columns
        lengths = [len(columns[name]["x"]) for name in ("suggestion", "peak", "fit")] + [len(columns["band"]["left"])]
        has_answer = not running and curve.suggestion is not None
        assert lengths[0] == lengths[3] == has_answer and (has_answer or sum(lengths) == 0)


def test_no_rate_is_green_before_two_rounds_nor_without_an_answer() -> None:
    for curve, running in states():
        views = race_view(curve, running=running)
        greens = [len(views[kind].columns["leader"]["x"]) for kind in KINDS]
        if len(curve.rounds) < 2 or (not running and curve.suggestion is None):
            assert greens == [0, 0]
    assert race_view(race_of(until=30), running=True)["scores"].columns["leader"]["x"][0] == pytest.approx(
        0.0316, rel=0.01
    )


def test_the_first_of_a_level_race_is_not_green() -> None:
    assert not len(race_view(race_of(plateau, 40), running=True)["scores"].columns["leader"]["x"])


def test_the_leader_is_the_lowest_score_and_its_name_is_bold_and_green() -> None:
    curve = race_of()
    best = min((c for c in curve.candidates if c.left_after is None), key=lambda c: c.score or INF)
    views = race_view(curve)
    assert views["scores"].columns["leader"]["x"].tolist() == [best.lr]
    names = views["course"].columns["labels_answer"]
    assert names["weight"] == ["bold"] and names["text"] == ["η 0.032"]


# The words


def test_survivors_are_named_and_every_round_says_how_many_left() -> None:
    curve = race_of()
    said = texts(race_view(curve)["course"])
    assert sum(text.startswith("η ") for text in said) == 3
    assert [f"{count} out" for _, count in curve.rounds] == [text for text in said if text.endswith(" out")]


def test_no_two_labels_touch_and_none_leaves_the_frame_in_any_state() -> None:
    for curve, running in states():
        for kind, view in race_view(curve, running=running).items():
            for prefix, width in FRAME_WIDTHS.items():
                placed = boxes(view, prefix, kind == "scores")
                for i, (left, top, right, bottom) in enumerate(placed):
                    assert left >= -1e-6 and right <= width + 1 and top >= -1 and bottom <= FRAME_HEIGHT + 1
                    assert not any(left < r and le < right and top < b and t < bottom for le, t, r, b in placed[:i])


def test_a_name_stands_right_of_every_line_so_that_it_covers_none() -> None:
    for curve, running in (*states(), *in_slices()):
        view = race_view(curve, running=running)["course"]
        drawn = [x for name in ("alive", "leader") for x in view.columns[name]["x"] if not math.isnan(x)]
        for colour in ("ink", "answer"):
            names = view.columns[f"labels_{colour}"]
            assert all(x > max(drawn) for x in names["x"])


def in_slices() -> Iterator[tuple[LRCurve, bool]]:
    """One rate has taken 15 steps more than the others, as it is while a race runs."""
    race = race_of()
    together = [step for step in race.steps if step.step <= 12]
    for lr in (c.lr for c in race.candidates if c.left_after is None):
        ahead = [step for step in race.steps if step.lr == lr and 12 < step.step <= 27]
        yield LRCurve.from_steps([*together, *ahead], settings=race.settings), True


def test_the_words_of_the_answer_cover_no_dot_no_cross_and_no_line() -> None:
    for curve in (race_of(), race_of(plateau), race_of(rates=4), race_of(rates=30)):
        view = race_view(curve)["scores"]
        (left, right), (bottom, top) = map(math.log, view.x_range), view.y_range
        for prefix, width in FRAME_WIDTHS.items():
            answer = view.columns[f"{prefix}_answer"]
            for text, x, y, weight, align in zip(
                *(answer[n] for n in ("text", "x", "y", "weight", "align")), strict=True
            ):
                wide, at = text_px(text, weight == "bold"), (math.log(x) - left) / (right - left) * width
                begin = at - (wide if align == "right" else 0)
                row = (top - y) / (top - bottom) * FRAME_HEIGHT
                for name in ("alive", "leader", "crosses", "suggestion", "fit"):
                    mark = view.columns[name]
                    for mx, my in zip(mark["x"], mark.get("y", np.full(len(mark["x"]), y)), strict=True):
                        px, py = (
                            (math.log(mx) - left) / (right - left) * width,
                            (top - my) / (top - bottom) * FRAME_HEIGHT,
                        )
                        assert not (begin < px < begin + wide and abs(py - row) < 8), (text, name)


def test_the_label_for_screen_readers_is_the_result() -> None:
    curve = race_of()
    label = race_view(curve)["scores"].label
    assert label.startswith("13 learning rates compared. 3 remain: ") and "0.032 scores 0." in label
    low, high = format_lr(curve.low or 0.0, 1), format_lr(curve.high or 0.0, 1)
    assert label.endswith(f". Suggested {format_lr(curve.suggestion or 0.0)}, good from {low} to {high}.")
    assert race_view(race_of(until=12), running=True)["scores"].label.endswith("Still running.")
    assert race_view(race_of(until=0), running=True)["scores"].label == "13 learning rates compared. No steps yet."
    assert race_view(race_of(flat))["scores"].label.endswith("No suggestion.")
    assert race_view(curve)["course"].label == "Training loss against step for 13 learning rates, 30 steps."


def test_doubt_is_in_what_a_screen_reader_reads() -> None:
    label = race_view(race_of(doubtful))["scores"].label
    assert "in doubt, somewhere from" in label and "good from" not in label


def test_labels_that_belong_together_fit_only_where_all_do() -> None:
    one, other = (Label("loss", "muted", ((10.0, row, "left"),)) for row in (20.0, 30.0))
    assert all_fit([one], 100, 100) and not all_fit([one, other], 100, 100) and not all_fit([one], 100, 25)


# Theory, and several orders of the data


def test_the_theorys_limit_is_a_line_with_its_name_and_a_sentence() -> None:
    view = race_view(with_theory(race_of(), 0.2))["scores"]
    assert view.columns["theory"]["x"].tolist() == [0.2]
    for prefix in FRAME_WIDTHS:
        assert "┆ 2/λmax ≈ 0.2" in texts(view, prefix)
    assert view.label.endswith("Theory: 2/λmax ≈ 0.2; it overshoots.")
    assert race_view(race_of())["scores"].columns["theory"]["x"].size == 0


@pytest.mark.parametrize(("lr", "text"), [(1e3, "2/λmax ≈ 1,000 →"), (1e-7, "← 2/λmax ≈ 1e-7")])
def test_a_limit_beyond_the_axis_is_an_arrow(lr: float, text: str) -> None:
    view = race_view(with_theory(race_of(), lr))["scores"]
    assert view.columns["theory"]["x"].size == 0 and text.replace(",", "") in [t.replace(",", "") for t in texts(view)]


def test_a_long_formula_is_left_to_the_sentence() -> None:
    view = race_view(with_theory(race_of(), 0.2, "(2+2β₁)/((1−β₁)λmax)"))["scores"]
    assert "┆ λmax limit ≈ 0.2" in texts(view) and "(2+2β₁)/((1−β₁)λmax) ≈ 0.2" in view.label


def test_the_band_lies_between_the_orders_scores_and_each_has_its_tick() -> None:
    curve = over_orders(bowl, lambda lr, step: 1.2 * bowl(lr, step))
    view = race_view(curve)["scores"]
    band = view.columns["orders"]
    scores = {c.lr: [o.candidates[i].score for o in curve.orders] for i, c in enumerate(curve.candidates)}
    for lr, low, high in zip(band["x"], band["low"], band["high"], strict=True):
        assert (low, high) == (min(scores[lr]), max(scores[lr]))  # type: ignore[type-var]
    assert len(band["x"]) == len(curve.candidates)
    assert view.columns["order_ticks"]["x"].tolist() == [order.suggestion for order in curve.orders]
    assert "2 data orders" in texts(view) and view.columns["whisker"]["x"].size == 0


def test_while_it_runs_the_order_under_way_is_drawn() -> None:
    curve = over_orders(bowl, plateau)
    alone, both = race_view(race_of(plateau), running=True), race_view(curve, running=True)
    assert x_values(both["scores"], "alive", "leader") == x_values(alone["scores"], "alive", "leader")
    assert both["scores"].columns["suggestion"]["x"].size == 0


# The figures


def test_filling_the_figures_puts_every_mark_into_its_source_and_sets_both_axes() -> None:
    curve = race_of(plateau)
    for kind, fig in race_figures(1e-5, 10.0).items():
        view = race_view(curve)[kind]
        fill(fig, view)
        sources = {s.name: s for s in fig.select({"type": ColumnDataSource})}
        assert set(sources) == set(KINDS[kind])
        assert (fig.y_range.start, fig.y_range.end) == view.y_range
        assert (fig.x_range.start, fig.x_range.end) == view.x_range


def test_the_empty_figures_have_the_axes_of_the_first_steps() -> None:
    first = race_view(race_of(until=0), running=True)
    for kind, fig in race_figures(1e-5, 10.0).items():
        assert (fig.x_range.start, fig.x_range.end) == pytest.approx(first[kind].x_range)
        assert (fig.y_range.start, fig.y_range.end) == first[kind].y_range


def test_every_mark_and_axis_names_the_tokens_of_its_colours() -> None:
    for fig in race_figures(1e-5, 10.0).values():
        glyphs = [renderer.glyph for renderer in fig.select({"type": GlyphRenderer})]
        for model in [*glyphs, *fig.axis, fig.ygrid[0]]:
            (tag,) = model.tags
            assert set(tag["theme"].values()) <= set(TOKENS["dark"])


def test_green_and_vermilion_mean_what_they_mean_elsewhere() -> None:
    figures = race_figures(1e-5, 10.0)

    def tokens(kind: str, source: str) -> set[str]:
        found = [r for r in figures[kind].select({"type": GlyphRenderer}) if r.data_source.name == source]
        return {token for r in found for tag in r.glyph.tags for token in tag["theme"].values()} - {"background"}

    assert tokens("course", "leader") == tokens("scores", "leader") == tokens("scores", "suggestion") == {"answer"}
    assert tokens("course", "worse") == tokens("scores", "off") == tokens("scores", "worse_crosses") == {"danger"}
    assert tokens("course", "alive") == tokens("scores", "alive") == {"data"}
    assert not {"answer", "danger"} & (
        tokens("course", "out0") | tokens("scores", "first") | tokens("scores", "crosses")
    )


def test_each_width_has_labels_of_its_own() -> None:
    for fig in race_figures(1e-5, 10.0).values():
        texts = [r for r in fig.select({"type": GlyphRenderer}) if "labels_" in r.data_source.name]
        assert {r.data_source.name.partition("_")[0] for r in texts if r.visible} == {"labels"}
        (callback,) = [c for c in fig.select({"type": CustomJS}) if "limit" in c.args]
        assert len(callback.args["wide"]) == len(callback.args["narrow_ones"]) == len(LABEL_COLOURS)


def test_the_loss_axis_says_which_loss_it_shows() -> None:
    for fig in race_figures(1e-5, 10.0, held_out=True).values():
        assert fig.yaxis[0].axis_label == "held-out loss"


def test_a_plot_of_a_race_is_both_figures_and_can_be_sent_to_a_browser() -> None:
    layout = plot(race_of(broken_from(NAN)))
    assert len(layout.children) == 2
    assert layout.children[0].y_range.end == layout.children[1].y_range.end
    document = Document()
    document.add_root(layout)
    assert document.to_json(deferred=False)["roots"]


# The picture


@pytest.mark.slow
def test_the_picture_has_room_for_both_plots_and_the_sentence() -> None:
    pytest.importorskip("matplotlib")
    for curve, _ in states()[::4]:
        png = lr_png(curve)
        assert png is not None
        width, height = struct.unpack(">II", png[16:24])
        assert width == 1640 and (height / 2 - 256 - 8) % 22 == 0


def test_the_picture_is_green_only_with_an_answer() -> None:
    pytest.importorskip("matplotlib")
    with_answer, without = (_green_pixels(lr_png(race_of(loss_of))) for loss_of in (bowl, flat))
    assert with_answer > 1000 and without == 0


def test_without_matplotlib_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert lr_png(race_of()) is None


def _green_pixels(png: bytes | None) -> int:
    from matplotlib.image import imread

    pixels = np.round(imread(io.BytesIO(png or b""), format="png")[..., :3] * 255)
    return int((pixels == [0x00, 0x9E, 0x73]).all(axis=-1).sum())


def test_losses_in_the_states_above_cover_what_they_are_named_for() -> None:
    curves = [curve for curve, _ in states()]
    assert {curve.confidence for curve in curves} == {"sure", "between", "cannot tell"}
    assert {curve.outcome for curve in curves} == {"finished", "diverged", "stopped"}
    assert any(max((len(c.losses) for c in curve.candidates), default=0) == ENDS[-1] for curve in curves)
    assert any(curve.suggestion is None for curve in curves) and all(
        a < b for a, b in pairwise(curves[-1].settings.race_lrs)
    )
