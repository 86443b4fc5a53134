"""What races of several optimizers look like: one curve each, and the courses of their best rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from race_results import bowl, flat, race_of

from nbtune.engine import LRByOptimizer, LRSettings
from nbtune.plots import plot
from nbtune.plots.base.frame import fill
from nbtune.plots.base.labels import Frame, Label, Placed, box_of, text_px
from nbtune.plots.base.series import LOOKS
from nbtune.plots.learning_rate.by_optimizer.figure import COURSES, by_optimizer_figures, by_optimizer_png
from nbtune.plots.learning_rate.by_optimizer.view import by_optimizer_scene, by_optimizer_view
from nbtune.plots.learning_rate.pair import FRAME_HEIGHT, FRAME_WIDTHS
from nbtune.plots.learning_rate.several import CURVES, CURVES_MARKS, LINES

KINDS = {"valleys": CURVES, "courses": COURSES}
OWN = "SGD (yours)"
Course = Callable[[float, int], float]


def result_of(losses: dict[str, Course], asked: tuple[str, ...] = ()) -> LRByOptimizer:
    steps = [replace(step, optimizer=name) for name, of in losses.items() for step in race_of(of).steps]
    names = asked or tuple(losses)[1:] or ("Adam",)
    return LRByOptimizer.from_steps(steps, settings=LRSettings(optimizers=dict.fromkeys(names, "SGD")))


def shifted(factor: float, level: float = 0.0) -> Course:
    return lambda lr, step: bowl(lr / factor, step) + level * (step > 3 and lr > 0)


def broken(lr: float, step: int) -> float:
    return math.inf if lr else 2.3


MANY = {OWN: bowl, "Adam": shifted(10, 0.2), "RMSprop": shifted(30, 0.1), "Lion": shifted(3, 0.3), "Muon": shifted(0.1)}
STATES = [
    (result_of({}, ("Adam",)), True), (result_of({OWN: bowl}), True), (result_of({OWN: bowl}), False),
    (result_of({OWN: bowl, "Adam": shifted(10, 0.4)}), False), (result_of({OWN: bowl, "Adam": shifted(10)}), True),
    (result_of(MANY), False), (result_of({OWN: flat, "Adam": bowl}), False),
    (result_of({OWN: bowl, "Adam": broken}), False),
    (replace(result_of({OWN: bowl, "Adam": bowl}), ended={"Lion": "RuntimeError: no"}), False),
    (replace(result_of({OWN: bowl, "Adam": bowl}), sign=-1), False),
]  # fmt: skip


@pytest.mark.parametrize("state", range(len(STATES)))
def test_every_source_has_its_columns_of_one_length_and_words_stay_in_the_frame(state: int) -> None:
    result, running = STATES[state]
    views = by_optimizer_view(result, running=running)
    assert set(views) == set(KINDS)
    for name, view in views.items():
        assert {source: tuple(columns) for source, columns in view.columns.items()} == {
            source: tuple(view.columns[source]) for source in KINDS[name]
        }
        for source, wanted in KINDS[name].items():
            assert set(view.columns[source]) == set(wanted)
            assert len({len(column) for column in view.columns[source].values()}) == 1
        assert view.label
    scene = by_optimizer_scene(result, running)
    for prefix, width in FRAME_WIDTHS.items():
        for name, ends in (("valleys", scene.left.rates), ("courses", scene.steps)):
            for source, columns in views[name].columns.items():
                for x, text, align in (
                    zip(*(columns[c] for c in ("x", "text", "align")), strict=True)
                    if (source.startswith(f"{prefix}_"))
                    else ()
                ):
                    px = width * math.log(x / ends[0]) / math.log(ends[1] / ends[0])
                    left = px - text_px(text) * {"left": 0.0, "center": 0.5, "right": 1.0}[align]
                    assert left > -1 and left + text_px(text) < width + 1, (name, text)


@pytest.mark.parametrize(
    ("figure", "third"),
    [("valleys", "Lion"), ("valleys", "Rprop of ours"), ("courses", "Lion"), ("courses", "Rprop of ours")],
)
def test_no_name_hides_a_line(figure: str, third: str) -> None:
    result = result_of({OWN: bowl, "AdamW": bowl, third: shifted(10, 0.2)})
    scene, columns = by_optimizer_scene(result, False), by_optimizer_view(result)[figure].columns
    ends = scene.left.rates if figure == "valleys" else scene.steps
    frame = Frame.of((FRAME_WIDTHS["labels"], FRAME_HEIGHT), ends, scene.left.losses, logs="x")
    on_lines = [box for s in LOOKS for box in frame.along(columns[f"line_{s}"]["x"], columns[f"line_{s}"]["y"])]
    named = [zip(*(columns[f"labels_{s}"][c] for c in ("x", "y", "text", "align")), strict=True) for s in LOOKS]
    words = [Placed(Label(text, "", ()), frame.x(x), frame.y(y), align) for x, y, text, align in chain(*named)]
    texts = {word.label.text for word in words}
    assert texts == {OWN, "AdamW", third} if figure == "courses" else texts >= {OWN, "AdamW"}
    for word in words:
        left, top, right, bottom = box_of(word)
        assert not [b for b in on_lines if left < b[2] and b[0] < right and top < b[3] and b[1] < bottom], word


def test_where_two_lines_are_the_same_the_dashed_one_is_drawn_over_the_solid_one() -> None:
    lines = [mark for mark in CURVES_MARKS if mark in LINES]
    assert [bool(mark.dash) for mark in lines] == sorted(bool(mark.dash) for mark in lines)
    assert {mark.source for mark in lines} == {f"line_{slot}" for slot in LOOKS}


def test_each_optimizer_has_its_slot_and_its_course_ends_at_its_last_step() -> None:
    result = result_of({OWN: bowl, "Adam": shifted(10, 0.4), "Lion": shifted(3, 0.8)})
    view = by_optimizer_view(result)["courses"]
    for slot, name in zip(("low", "middle", "high"), result.curves, strict=True):
        steps = max(len(c.losses) for c in result.curves[name].candidates)
        assert view.columns[f"marks_{slot}"]["x"].tolist() == [float(steps)]
        line = view.columns[f"line_{slot}"]
        assert line["x"][:2].tolist() == [1.0, 2.0] and math.isnan(line["x"][-1])
    assert view.columns["compared"]["x"].tolist() == [float(result.step)]
    lasts = [float(view.columns[f"marks_{slot}"]["y"][0]) for slot in ("low", "middle", "high")]
    assert lasts == sorted(lasts) and result.losses[OWN] == pytest.approx(lasts[0])


def test_while_more_are_to_come_nothing_is_compared_and_that_is_said() -> None:
    result = result_of({OWN: bowl, "Adam": shifted(10)}, ("Adam", "Lion"))
    running = by_optimizer_view(result, running=True)
    assert running["courses"].columns["compared"]["x"].size == 0
    assert "Still running." in running["courses"].label
    alone = by_optimizer_view(result_of({OWN: bowl, "Adam": flat}))
    assert alone["courses"].columns["compared"]["x"].size == 0  # one alone has an answer
    assert result.verdict in by_optimizer_view(result)["courses"].label


def test_words_are_left_standing_where_they_are_not_placed_anew() -> None:
    result = STATES[3][0]
    without = by_optimizer_view(result, words=False)
    assert not any(source.startswith("labels") for view in without.values() for source in view.columns)
    with_words = by_optimizer_view(result)
    for name, view in without.items():
        for source, columns in view.columns.items():
            for column, values in columns.items():
                assert np.array_equal(values, with_words[name].columns[source][column], equal_nan=values.dtype == float)


def test_the_live_figures_the_plot_and_the_picture_are_made() -> None:
    result = STATES[5][0]
    for name, figure in by_optimizer_figures(1e-5, 10.0).items():
        fill(figure, by_optimizer_view(result)[name])
    assert len(plot(result).children) == 2
    assert (by_optimizer_png(result) or b"").startswith(b"\x89PNG")
