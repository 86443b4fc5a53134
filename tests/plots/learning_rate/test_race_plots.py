"""The three figures of a race: what each state of it looks like, in columns and in words."""

from __future__ import annotations

import io
import math
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS, GlyphRenderer, LogColorMapper
from race_results import LossOf, bowl, doubtful, flat, hidden, in_doubt, plateau, race_of, refined, wavering

from nbtune.engine.curvature.estimate import Curvature
from nbtune.engine.learning_rate.curve import LRCurve, LRSettings
from nbtune.engine.learning_rate.race.standings import END, ENDS
from nbtune.formats import format_lr
from nbtune.plots import plot
from nbtune.plots.base.columns import View
from nbtune.plots.base.frame import fill
from nbtune.plots.base.labels import Label, all_fit, text_px
from nbtune.plots.base.shades import ETA_RANGE, SCALES, shades_of
from nbtune.plots.base.tokens import THEMES
from nbtune.plots.learning_rate.dispatch import lr_png
from nbtune.plots.learning_rate.race import scene as scenes
from nbtune.plots.learning_rate.race.figure import COURSE, SCORES, STANDINGS, race_figures, race_parts, race_view
from nbtune.plots.learning_rate.race.ranking import LEAST_ROW_PX, rows_of
from nbtune.plots.learning_rate.race.room import FRAME_HEIGHT, FRAME_WIDTHS, HEIGHT, LIST_WIDTH
from nbtune.plots.learning_rate.race.scene import race_scene
from nbtune.plots.learning_rate.race.told import told_of
from nbtune.plots.learning_rate.race.words import COLOURS

INF, NAN = math.inf, math.nan
KINDS = {"course": COURSE, "standings": STANDINGS, "scores": SCORES}
PLOTS = ("course", "scores")


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
    yield race_of(plateau, 60), True
    yield race_of(doubtful), False
    yield race_of(hidden), False
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
    for curve in (race_of(wavering), refined(race_of(), 0.018, 0.056), race_of(late)):
        yield curve, False
        yield in_doubt(curve), False
        yield with_theory(curve, 0.08), False
    yield replace(race_of(), sign=-1), False
    yield replace(race_of(until=20), sign=-1), True


def late(lr: float, step: int) -> float:
    """What falls is little, and differs from step to step."""
    noise = 0.05 * math.sin(12.9 * step)
    return 2.3 + noise + (step * lr if lr >= 1 else -0.003 * step * (lr > 0.003) + 0.02 * math.sin(9 * step * lr))


def with_theory(curve: LRCurve, lr: float, rule: str = "2/λmax") -> LRCurve:
    return replace(curve, curvature=Curvature(limit_lr=lr, rule=rule, meaning="it overshoots", relative_error=0.01))


def over_orders(*losses: LossOf) -> LRCurve:
    """One race per order of the data."""
    steps = [replace(step, repeat=r) for r, loss_of in enumerate(losses) for step in race_of(loss_of).steps]
    return LRCurve.from_steps(steps, settings=LRSettings(repeats=len(losses)))


def texts(view: View, prefix: str = "labels") -> list[str]:
    return [t for colour in COLOURS for t in view.columns[f"{prefix}_{colour}"]["text"]]


def x_values(view: View, *names: str) -> list[float]:
    return sorted(x for name in names for x in view.columns[name]["x"].tolist())


def boxes(view: View, prefix: str) -> list[tuple[float, float, float, float]]:
    """left, top, right, bottom of every label, in px of its frame."""
    assert view.x_range is not None
    (left_end, right_end), (bottom, top) = map(math.log, view.x_range), view.y_range
    found = []
    for colour in COLOURS:
        c = view.columns[f"{prefix}_{colour}"]
        for i, text in enumerate(c["text"]):
            wide = text_px(text, c["weight"][i] == "bold")
            left = (math.log(c["x"][i]) - left_end) / (right_end - left_end) * FRAME_WIDTHS[prefix]
            left -= {"left": 0.0, "center": wide / 2, "right": wide}[c["align"][i]]
            row = (top - c["y"][i]) / (top - bottom) * FRAME_HEIGHT
            found.append((left, row - 8, left + wide, row + 8))
    return found


# The contract


def test_the_plots_know_when_rounds_end() -> None:
    assert (scenes.ROUND_ENDS, scenes.SETTLED_END) == (ENDS, END)


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


def test_all_plots_share_the_loss_axis_in_every_state() -> None:
    for curve, running in states():
        course, standings, scores = race_view(curve, running=running).values()
        assert course.y_range == standings.y_range == scores.y_range and course.y_range[0] < course.y_range[1]


def test_no_column_holds_an_infinite_number_nor_one_beyond_the_frame() -> None:
    for curve, running in states():
        for view in race_view(curve, running=running).values():
            (bottom, top), names = view.y_range, ("y", "y0", "y1", "low", "high", "top", "bottom")
            for columns in view.columns.values():
                for column in (columns[name] for name in names if name in columns):
                    assert not np.isinf(column).any()
                    assert ((column >= bottom - (top - bottom)) & (column <= top + (top - bottom))).all()


def test_a_tick_of_a_running_race_sends_few_numbers() -> None:
    """What others have done stays: only the lines of those still in are sent again, the standings now and then."""
    before, after = (race_view(partial(race_of(), n), running=True, words=False) for n in (150, 154))
    changed = [
        column for kind, view in after.items() for name, columns in view.columns.items()
        if any(not np.array_equal(columns[c], before[kind].columns[name][c], equal_nan=True) for c in columns)
        for column in columns.values()
    ]  # fmt: skip
    assert 0 < sum(len(column) for column in changed) < 1500
    assert not after["standings"].columns and "labels_ink" not in after["scores"].columns


# Where everybody is


def test_every_rate_has_its_row_its_line_and_its_mark() -> None:
    for curve, running in states():
        views = race_view(curve, running=running)
        told = {c.lr for c in curve.candidates if c.score is not None or c.left_after is not None}
        scores = views["scores"]
        assert set(x_values(scores, "alive", "refined", "leader", "off", "dots")) == told
        scene = race_scene(curve, running)
        lines = {
            lr for name in ("lost", "racing", "leader") for lr in views["course"].columns[name]["lr"].tolist()
        }  # fmt: skip
        inside = {r.lr for r in scene.racers if r.steps > 1 and not scene.is_off(r.losses[0])}
        assert inside <= lines or scene.is_zoomed
        rows, hidden = rows_of(scene)
        assert len(rows) + hidden == sum(bool(r.steps) or r.left_after is not None for r in scene.racers)


def test_a_rate_has_one_colour_wherever_it_is() -> None:
    for kind, view in race_view(race_of()).items():
        for part in race_parts(race_of()):
            for mark in part.panel.marks:
                if getattr(mark, "by", ""):
                    assert mark.by == "lr"
        for name, columns in view.columns.items():
            if name not in ("strip", "past", "valley") and "lr" in columns:
                assert set(columns["lr"]) <= {c.lr for c in race_of().candidates}, (kind, name)
    strip = race_view(race_of())["scores"].columns["strip"]
    assert ((strip["left"] <= strip["lr"]) & (strip["lr"] <= strip["right"])).all()


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize(("theme", "surface"), [("light", "#F5F5F5"), ("dark", "#212121")])
def test_the_colours_of_eta_rise_in_lightness_and_can_be_read(theme: str, surface: str) -> None:
    shades = SCALES[theme]["eta"]
    light = [luminance(shade) for shade in shades]
    assert all(a < b + 0.002 for a, b in pairwise(light)) and light[0] < light[-1]
    ground = luminance(surface) + 0.05
    assert all(max(ground / (at + 0.05), (at + 0.05) / ground) >= 3.4 for at in light)


def test_a_rate_beyond_the_scale_has_the_colour_of_its_end() -> None:
    low, high = ETA_RANGE
    assert shades_of([low / 1e6, high * 1e6]) == [SCALES["light"]["eta"][0], SCALES["light"]["eta"][-1]]


def test_losers_end_in_a_tick_where_they_left_and_are_dimmer_than_those_still_in() -> None:
    panel, view = race_parts(race_of())[0].panel, race_view(race_of())["course"]
    assert set(view.columns["lost_ends"]["x"]) <= {5, 12, 30} and len(view.columns["lost_ends"]["x"]) >= 3
    looks = {mark.source: mark for mark in panel.marks if getattr(mark, "by", "")}
    lost, racing, leader = (looks[name] for name in ("lost", "racing", "leader"))
    assert lost.alpha < racing.alpha and lost.width < racing.width < leader.width


@pytest.mark.parametrize("loss", [INF, NAN, -INF, 1e30])
def test_a_loss_off_the_scale_is_a_triangle_at_the_upper_edge(loss: float) -> None:
    for at in (0, 2, 4):
        curve = race_of(broken_from(loss, at=at))
        scene, view = race_scene(curve, False), race_view(curve)["scores"]
        off = view.columns["off"]
        assert (off["y"] < scene.high).all() and (off["y"] > scene.high - 0.05 * (scene.high - scene.low)).all()
        assert {1.0, 3.162, 10.0} <= set(off["x"]) and (off["lr"] == off["x"]).all()
        assert "▲ off the scale" in texts(view)


@pytest.mark.parametrize("loss", [INF, NAN, -INF])
def test_a_line_that_ends_without_a_number_leaves_through_the_top(loss: float) -> None:
    curve = race_of(broken_from(loss, least=5.0, at=3))
    lost = race_view(curve)["course"].columns["lost"]
    is_its = lost["lr"] == 10.0
    assert is_its.any() and lost["y1"][is_its].max() == pytest.approx(race_scene(curve, False).high)


def test_a_survivor_off_the_scale_is_not_lost_from_sight() -> None:
    curve = race_of(lambda lr, step: 2.3 if lr == 0 else 10.0 + lr)
    assert any(c.left_after is None for c in curve.candidates)
    views = race_view(curve)
    assert len(views["scores"].columns["off"]["x"]) == 13
    names = views["standings"].columns["rows_ink"]["text"]
    assert all(format_lr(c.lr) in names for c in curve.candidates if c.left_after is None)


def test_a_survivors_end_is_level_with_its_link_and_with_its_score_on_the_right() -> None:
    for curve in (race_of(), race_of(late), race_of(plateau)):
        views = race_view(curve)
        heads, links = views["course"].columns["heads"], views["standings"].columns["links"]
        scores = views["scores"].columns
        for lr, y in zip(heads["lr"], heads["y"], strict=True):
            right = [
                v for n in ("leader", "alive") for x, v in zip(scores[n]["x"], scores[n]["y"], strict=True) if x == lr
            ]
            assert [y] == pytest.approx(right)
            assert links["y0"][links["lr"] == lr][0] == pytest.approx(y)


def test_a_line_ends_at_the_score_that_the_race_goes_by() -> None:
    """Also where the scene reckons by itself; without the batches' noise, only the differences are the same."""
    for curve, running in states():
        if curve.orders:
            continue
        scene = race_scene(curve, running)
        scores = {c.lr: c.score for c in curve.candidates if c.score is not None and math.isfinite(c.score)}
        ours = {r.lr: r.score for r in scene.racers if r.lr in scores}
        if not scene.is_zoomed:
            assert ours == pytest.approx(scores)
        elif len({r.steps for r in scene.alive}) == 1:
            best = min(scores[r.lr] for r in scene.alive)
            found = {r.lr: scenes.score_of(r) - min(map(scenes.score_of, scene.alive)) for r in scene.alive}
            assert found == pytest.approx({lr: scores[lr] - best for lr in found}, abs=1e-9)


def test_the_valley_deepens_round_by_round() -> None:
    curve = race_of()
    scene, columns = race_scene(curve, False), race_view(curve)["scores"].columns
    first = scene.valley(5)
    assert [lr for lr, _ in first] == list(curve.settings.race_lrs)
    assert first[3][1] == pytest.approx(np.mean(curve.candidates[3].losses[2:5]))
    depths = [min(score for _, score in scene.valley(step)) for step in scene.ended]
    assert depths == sorted(depths, reverse=True) and len(depths) == len(curve.rounds) > 1
    assert columns["valley"]["y1"].min() < min(depths) and len(columns["past"]["x0"]) > len(columns["valley"]["x0"])
    stems = columns["stems"]
    assert set(stems["lr"]) <= {c.lr for c in curve.candidates if len(c.losses) > 5}
    assert not len(race_view(race_of(until=4), running=True)["scores"].columns["past"]["x0"])


def test_whiskers_are_two_standard_errors_of_the_difference_to_the_best_on_the_same_batches() -> None:
    shared = race_of(lambda lr, step: bowl(lr, step) + 0.6 * math.sin(5 * step))
    assert not len(race_view(shared)["scores"].columns["whisker"]["x"])
    curve = race_of(wavering)
    whisker = race_view(curve)["scores"].columns["whisker"]
    alive = {c.lr: c for c in curve.candidates if c.left_after is None}
    best = min(alive.values(), key=lambda c: c.score or INF)
    count = len(best.losses) // 3
    assert set(whisker["x"]) == set(alive) - {best.lr}
    for lr, low, high in zip(*whisker.values(), strict=True):
        differences = np.array(alive[lr].losses[-count:]) - np.array(best.losses[-count:])
        steps = np.arange(count)
        rest = differences - np.polyval(np.polyfit(steps, differences, 1), steps)
        error = math.sqrt((rest**2).sum() / (count - 2) / count)
        assert (high - low) / 4 == pytest.approx(error) and (low + high) / 2 == pytest.approx(alive[lr].score)


def test_the_dotted_line_is_the_loss_without_training() -> None:
    curve = race_of()
    views = race_view(curve)
    for kind in PLOTS:
        assert views[kind].columns["start"]["y"].tolist() == [curve.start_loss]
    assert "no training" in texts(views["scores"])


# The axes


def test_the_left_axis_holds_45_steps_while_it_runs_and_those_that_were_taken_at_the_end() -> None:
    assert 30 < race_view(race_of())["course"].x_range[1] < 40
    assert 45 < race_view(race_of(until=20), running=True)["course"].x_range[1] < 55
    assert 100 < race_view(race_of(plateau))["course"].x_range[1] < 120
    assert race_view(race_of(plateau, 45), running=True)["course"].x_range[1] < 55


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
    scene = race_scene(race_of(lambda lr, step: bowl(lr, step) - 40), False)
    assert scene.low < min(r.losses[-1] for r in scene.alive) and -37.7 < scene.high < -36


def test_where_little_has_fallen_the_axis_begins_near_it_and_a_break_says_so() -> None:
    curve = race_of(late)
    scene, view = race_scene(curve, False), race_view(curve)["course"]
    assert scene.is_zoomed and scene.low > 1 and "//" in texts(view) and not len(view.columns["raw"]["x0"])
    assert scene.low < min(map(scenes.score_of, scene.alive)) and scene.high > (curve.start_loss or INF)
    assert not race_scene(race_of(), False).is_zoomed and "//" not in texts(race_view(race_of())["course"])


def test_a_level_race_looks_level_however_close_one_looks() -> None:
    scene = race_scene(race_of(flat), False)
    assert scene.high - scene.low >= 0.04 * 2.3
    ends = [scenes.score_of(r) for r in scene.alive]
    assert max(ends) - min(ends) < 0.02 * (scene.high - scene.low)


# The answer


def test_a_finished_race_shows_its_answer_its_range_and_its_peak() -> None:
    curve = race_of()
    assert curve.suggestion is not None
    view = race_view(curve)["scores"]
    columns = view.columns
    assert columns["suggestion"]["x"].tolist() == columns["handle"]["x"].tolist() == [curve.suggestion]
    assert columns["peak"]["x"].tolist() == [curve.peak]
    assert (columns["band"]["left"][0], columns["band"]["right"][0]) == (curve.low, curve.high)
    words = " ".join(texts(view))
    assert "η = 0.0" in words and "good 0.0" in words and "one-cycle" in words and "peak 0.0" in words


def test_nothing_stands_in_the_line_that_the_picture_does_not_show() -> None:
    for curve, running in states():
        told = told_of(curve)
        if running or not told.is_sure or curve.orders:
            continue
        line = f"{told.line.verdict} {told.line.reason} {told.line.limit}"
        view = race_view(curve)["scores"]
        assert curve.low is not None and curve.high is not None and curve.suggestion is not None
        shown = {format_lr(curve.suggestion), format_lr(curve.low, 1), format_lr(curve.high, 1)}
        assert {word.strip(":,.;") for word in line.split() if word[0].isdigit()} <= shown
        assert len(view.columns["band"]["left"]) == len(view.columns["handle"]["x"]) == 1
        assert any("moved" in why for why in told.why) and all(why[0] != why[0].lower() for why in told.why)


def test_where_there_is_doubt_nothing_is_green_and_a_frame_holds_the_range() -> None:
    curve = in_doubt(refined(race_of(), 0.056))
    view = race_view(curve)["scores"]
    columns = view.columns
    green = ("band", "suggestion", "handle", "peak", "labels_answer")
    assert all(not len(next(iter(columns[name].values()))) for name in green)
    assert (columns["frame"]["left"][0], columns["frame"]["right"][0]) == (curve.low, curve.high)
    assert columns["maybe"]["x"].tolist() == [curve.suggestion] and len(columns["best_level"]["x0"]) == 1
    assert "in doubt, somewhere from" in view.label and not told_of(curve).is_sure


def test_rates_that_came_out_level_are_bracketed() -> None:
    curve = refined(race_of(), 0.056)
    level = race_view(curve)["scores"].columns["level"]
    assert level["x0"].min() < 0.032 and level["x1"].max() > 0.056
    assert not len(race_view(race_of())["scores"].columns["level"]["x0"])


def test_a_refined_rate_is_a_diamond_in_the_plot_and_in_the_standings() -> None:
    views = race_view(refined(race_of(), 0.018, 0.056))
    assert views["scores"].columns["refined"]["x"].tolist() == [0.018, 0.056]
    assert sorted(views["standings"].columns["refined"]["lr"]) == [0.018, 0.056]


def test_theorys_tick_is_short_and_the_suggestion_the_whole_height() -> None:
    columns = race_view(with_theory(race_of(), 0.2))["scores"].columns
    height = {name: float(columns[name]["top"][0] - columns[name]["bottom"][0]) for name in ("suggestion", "theory")}
    assert height["theory"] < 0.2 * height["suggestion"]


def test_neither_line_nor_band_without_an_answer_or_while_it_runs() -> None:
    for curve, running in states():
        columns = race_view(curve, running=running)["scores"].columns
        lengths = [len(columns[name]["x"]) for name in ("suggestion", "handle", "peak")]
        lengths += [len(columns["band"]["left"]), len(columns["frame"]["left"]) + len(columns["maybe"]["x"])]
        is_sure = not running and curve.suggestion is not None and told_of(curve).is_sure
        assert lengths[:2] == [is_sure] * 2 and lengths[3] == is_sure
        assert not lengths[4] or not (is_sure or running)
        assert sum(lengths[:4]) == 0 or (not running and curve.suggestion is not None)
        assert lengths[4] == 0 or curve.confidence != "sure" or curve.outcome == "stopped"


def test_nobody_leads_before_two_rounds_nor_without_an_answer() -> None:
    for curve, running in states():
        views = race_view(curve, running=running)
        leads = [len(views[kind].columns["leader"]["lr"]) for kind in PLOTS]
        if len(curve.rounds) < 2 or (not running and curve.suggestion is None):
            assert leads == [0, 0]
    view = race_view(race_of(until=30), running=True)["scores"]
    assert view.columns["leader"]["x"][0] == pytest.approx(0.0316, rel=0.01) and "0.032 leads" in texts(view)


def test_the_first_of_a_level_race_does_not_lead() -> None:
    assert not len(race_view(race_of(plateau, 40), running=True)["scores"].columns["leader"]["x"])


def test_the_leader_is_the_lowest_score_and_its_row_is_bold() -> None:
    curve = race_of()
    best = min((c for c in curve.candidates if c.left_after is None), key=lambda c: c.score or INF)
    views = race_view(curve)
    assert views["scores"].columns["leader"]["x"].tolist() == [best.lr]
    rows = views["standings"].columns["rows_ink"]
    assert [t for t, w in zip(rows["text"], rows["weight"], strict=True) if w == "bold"] == ["1", "0.032", "0.55"]


# The standings


def test_the_lowest_loss_is_the_lowest_row_and_those_who_are_out_stand_above() -> None:
    for curve, running in states():
        rows, _ = rows_of(race_scene(curve, running))
        ordered = rows if curve.sign > 0 else rows[::-1]
        assert [row.rank for row in ordered if row.rank] == sorted((row.rank for row in rows if row.rank), reverse=True)
        assert [bool(row.rank) for row in ordered] == sorted(bool(row.rank) for row in rows)
        scores = [scenes.score_of(row.racer) for row in ordered if row.rank]
        assert scores == sorted(scores, reverse=True)
        assert all(b.row - a.row >= LEAST_ROW_PX - 1e-6 for a, b in pairwise(rows))
        assert all(6 <= row.row <= FRAME_HEIGHT - 6 for row in rows)


def test_an_overtaking_is_told_until_the_next_round_ends() -> None:
    def swapped(lr: float, step: int) -> float:
        return bowl(lr, step) - (1.5 if 0.05 < lr < 0.2 and step > 16 else 0.0)

    view = race_view(race_of(swapped, 25), running=True)["standings"].columns["rows_ink"]
    assert any(text.startswith("▲") for text in view["text"]) and any(text.startswith("▼") for text in view["text"])
    done = race_view(race_of(swapped))["standings"].columns["rows_ink"]
    assert not any(text.startswith(("▲", "▼")) for text in done["text"])


def test_more_rates_than_rows_are_counted() -> None:
    words = race_view(race_of(rates=30))["standings"].columns["rows_muted"]["text"]
    assert any(text.startswith("+ ") and text.endswith(" more out") for text in words)


def test_no_two_words_of_the_standings_touch() -> None:
    for curve, running in states():
        view = race_view(curve, running=running)["standings"]
        bottom, top = view.y_range
        placed: list[tuple[float, float, float, float]] = []
        for name in ("rows_ink", "rows_muted"):
            words = view.columns[name]
            for x, y, text, align, weight in zip(
                *(words[n] for n in ("x", "y", "text", "align", "weight")), strict=True
            ):
                wide = text_px(text, weight == "bold")
                left, row = x - (wide if align == "right" else 0), (top - y) / (top - bottom) * FRAME_HEIGHT
                placed.append((left, row - 6.5, left + wide, row + 6.5))
        for i, (left, upper, right, lower) in enumerate(placed):
            assert left >= 0 and right <= LIST_WIDTH and upper >= 0 and lower <= FRAME_HEIGHT
            assert not any(left < r and le < right and upper < b and t < lower for le, t, r, b in placed[:i])


# The words


def test_every_round_says_how_many_race_in_it() -> None:
    curve = race_of()
    left = np.cumsum([13, *(-count for _, count in curve.rounds)]).tolist()
    assert texts(race_view(curve)["course"]) == ["13 rates", *map(str, left[1:])]
    assert texts(race_view(race_of(until=14), running=True)["course"]) == ["13 rates", *map(str, left[1:3])]
    assert texts(race_view(race_of(until=0), running=True)["course"]) == ["13 rates"]


def test_no_two_labels_touch_and_none_leaves_the_frame_in_any_state() -> None:
    for curve, running in states():
        views = race_view(curve, running=running)
        for view in (views[kind] for kind in PLOTS):
            for prefix, width in FRAME_WIDTHS.items():
                placed = boxes(view, prefix)
                for i, (left, top, right, bottom) in enumerate(placed):
                    assert left >= -1e-6 and right <= width + 1 and top >= -1 and bottom <= FRAME_HEIGHT + 1
                    assert not any(left < r and le < right and top < b and t < bottom for le, t, r, b in placed[:i])


def test_the_words_of_the_answer_cover_no_dot_and_no_line() -> None:
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
                for name in ("alive", "leader", "dots", "off", "suggestion"):
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
    assert race_view(curve)["standings"].label.startswith("Standings, the best first: 0.032 with 0.55, 0.01 with ")
    assert race_view(curve)["course"].label == "Training loss against step for 13 learning rates, 30 steps."


def test_doubt_is_in_what_a_screen_reader_reads() -> None:
    label = race_view(race_of(doubtful))["scores"].label
    assert "in doubt, somewhere from" in label and "good from" not in label


def test_labels_that_belong_together_fit_only_where_all_do() -> None:
    one, other = (Label("loss", "muted", ((10.0, row, "left"),)) for row in (20.0, 30.0))
    assert all_fit([one], 100, 100) and not all_fit([one, other], 100, 100) and not all_fit([one], 100, 25)


# Theory, and several orders of the data


def test_the_theorys_limit_is_a_quiet_tick_with_its_name_and_the_formula_is_folded_away() -> None:
    curve = with_theory(race_of(), 0.2)
    view = race_view(curve)["scores"]
    assert view.columns["theory"]["x"].tolist() == [0.2]
    for prefix in FRAME_WIDTHS:
        assert "limit" in " ".join(texts(view, prefix)) and not any("λ" in t for t in texts(view, prefix))
    assert view.label.endswith("Theory: 2/λmax ≈ 0.2; it overshoots.")
    told = told_of(curve)
    assert "λ" not in f"{told.line.verdict}{told.line.reason}{told.line.limit}" and "2/λmax ≈ 0.2" in told.why[-1]
    assert "stability limit" in texts(view)
    assert race_view(race_of())["scores"].columns["theory"]["x"].size == 0


@pytest.mark.parametrize(("lr", "text"), [(1e3, "limit ≈ 1000 →"), (1e-7, "← stability limit ≈ 1e-7")])
def test_a_limit_beyond_the_axis_is_an_arrow(lr: float, text: str) -> None:
    view = race_view(with_theory(race_of(), lr))["scores"]
    assert view.columns["theory"]["x"].size == 0 and any(text in said for said in texts(view))


def test_the_band_lies_between_the_orders_scores_and_each_has_its_tick() -> None:
    curve = over_orders(bowl, lambda lr, step: 1.2 * bowl(lr, step))
    view = race_view(curve)["scores"]
    band = view.columns["orders"]
    scores = {c.lr: [o.candidates[i].score for o in curve.orders] for i, c in enumerate(curve.candidates)}
    for lr, low, high in zip(band["x"], band["low"], band["high"], strict=True):
        top = race_view(curve)["scores"].y_range[1]
        assert (low, high) == (min(top, min(scores[lr])), min(top, max(scores[lr])))  # type: ignore[type-var]
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
        assert (fig.y_range.start, fig.y_range.end) == pytest.approx(first[kind].y_range)


def test_every_mark_and_axis_names_the_tokens_of_its_colours() -> None:
    for fig in race_figures(1e-5, 10.0).values():
        glyphs = [renderer.glyph for renderer in fig.select({"type": GlyphRenderer})]
        mappers = list(fig.select({"type": LogColorMapper}))
        noted = [tag["theme"] for model in [*glyphs, *mappers] for tag in model.tags]
        assert mappers and {token for theme in noted for token in theme.values()} <= set(THEMES["dark"])
        for mapper in mappers:
            assert mapper.tags == [{"theme": {"palette": "eta"}}]


def test_green_is_the_answers_alone_and_every_rate_is_told_by_its_eta() -> None:
    parts = dict(zip(KINDS, race_parts(race_of()), strict=True))
    green = {
        m.source
        for part in parts.values()
        for m in part.panel.marks
        if "answer" in (getattr(m, "line", ""), getattr(m, "fill", ""))
    }
    assert green == {"band", "suggestion", "peak", "handle", "order_ticks"}
    for kind, names in (
        ("course", ("raw", "lost", "racing", "leader", "heads")),
        ("scores", ("alive", "leader", "off", "dots")),
    ):
        marks = [m for m in parts[kind].panel.marks if m.source in names and getattr(m, "by", "")]
        assert {m.source for m in marks} == set(names)


def test_each_width_has_labels_of_its_own() -> None:
    figures = race_figures(1e-5, 10.0)
    for fig in (figures[kind] for kind in PLOTS):
        texts = [r for r in fig.select({"type": GlyphRenderer}) if "labels_" in r.data_source.name]
        assert {r.data_source.name.partition("_")[0] for r in texts if r.visible} == {"labels"}
        (callback,) = [c for c in fig.select({"type": CustomJS}) if "limit" in c.args]
        assert len(callback.args["wide"]) == len(callback.args["narrow_ones"]) == len(COLOURS)


def test_the_loss_axis_says_which_loss_it_shows() -> None:
    assert race_figures(1e-5, 10.0, held_out=True)["course"].yaxis[0].axis_label == "held-out loss"


def test_a_plot_of_a_race_is_all_figures_and_can_be_sent_to_a_browser() -> None:
    layout = plot(race_of(broken_from(NAN)))
    assert len(layout.children) == 3
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
        assert width == 1640 and (height / 2 - HEIGHT - 8) % 22 == 0


def test_the_picture_is_green_only_with_an_answer() -> None:
    pytest.importorskip("matplotlib")
    with_answer, without = (_green_pixels(lr_png(race_of(loss_of))) for loss_of in (bowl, flat))
    assert with_answer > 500 and without == 0


def test_without_matplotlib_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert lr_png(race_of()) is None


def _green_pixels(png: bytes | None) -> int:
    from matplotlib.image import imread

    pixels = np.round(imread(io.BytesIO(png or b""), format="png")[..., :3] * 255)
    return int((pixels == [0x00, 0x9E, 0x73]).all(axis=-1).sum())


def test_losses_in_the_states_above_cover_what_they_are_named_for() -> None:
    curves = [curve for curve, _ in states()]
    assert {curve.outcome for curve in curves} == {"finished", "diverged", "stopped"}
    assert {curve.confidence for curve in curves} == {"sure", "between", "cannot tell"}
    assert any(max((len(c.losses) for c in curve.candidates), default=0) == ENDS[-1] for curve in curves)
    assert any(curve.suggestion is None for curve in curves) and all(
        a < b for a, b in pairwise(curves[-1].settings.race_lrs)
    )
