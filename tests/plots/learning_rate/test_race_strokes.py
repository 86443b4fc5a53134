"""The lines of a race: what is drawn of a loss that leaves the scale, and a score after every step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from race_results import bowl, race_of

from nbtune.engine.learning_rate.race.candidate import score_of
from nbtune.plots.learning_rate.race.racer import Racer
from nbtune.plots.learning_rate.race.strokes import STROKE, Line, strokes
from nbtune.plots.learning_rate.scoring import scores_of


def rows(*lines: Line, is_log: bool = False) -> list[list[float]]:
    columns = strokes(lines, (0.0, 2.0), is_log=is_log)
    return [[round(float(columns[name][i]), 6) for name in STROKE] for i in range(len(columns["lr"]))]


def test_a_line_within_the_scale_is_its_own_parts_with_its_eta() -> None:
    assert rows(Line(0.1, [1, 2, 3], [1.0, 0.5, 2.0])) == [[1, 1, 2, 0.5, 0.1], [2, 0.5, 3, 2, 0.1]]


@pytest.mark.parametrize(("losses", "ends"), [([1, 3], [1, 1.5]), ([3, 1], [1.5, 2]), ([-1, 1], [1.5, 2])])
def test_a_line_is_cut_where_it_crosses_an_end(losses: list[float], ends: list[float]) -> None:
    ((x0, y0, x1, y1, _),) = rows(Line(1.0, [1, 2], losses))
    assert [x0, x1] == ends and {y0, y1} <= {0.0, 1.0, 2.0}


def test_a_line_that_passes_through_is_cut_twice_and_one_outside_is_left_out() -> None:
    assert rows(Line(1.0, [0, 4], [-1.0, 3.0])) == [[1, 0, 3, 2, 1]]
    assert rows(Line(1.0, [0, 1, 2], [2.5, 3.0, 3.0])) == rows(Line(1.0, [0, 1], [-1.0, -1.0])) == []


def test_a_level_line_is_drawn_within_the_scale_and_on_its_ends() -> None:
    for loss in (0.0, 1.0, 2.0):
        assert rows(Line(1.0, [0, 1], [loss, loss])) == [[0, loss, 1, loss, 1]]


def test_on_a_logarithmic_axis_a_cut_lies_on_the_line_that_is_seen() -> None:
    ((_, _, x1, y1, _),) = rows(Line(1.0, [1, 100], [1.0, 3.0]), is_log=True)
    assert (x1, y1) == (pytest.approx(10), pytest.approx(2))


def test_a_loss_that_is_no_number_leaves_through_the_top_and_parts_no_other_line() -> None:
    found = rows(Line(0.1, [1, 2], [1.0, math.inf]), Line(0.2, [1, 2], [1.0, 1.0]), Line(0.3, [], []))
    assert [row[4] for row in found] == [0.1, 0.2] and found[0][3] == 2 and found[1] == [1, 1, 2, 1, 0.2]


def test_no_lines_are_empty_columns() -> None:
    assert {name: column.tolist() for name, column in strokes([], (0, 1)).items()} == {name: [] for name in STROKE}


def test_the_score_after_every_step_is_the_one_that_the_race_goes_by() -> None:
    losses = [bowl(0.03, step) for step in range(60)]
    ours = scores_of(np.array(losses))
    assert [ours[n - 1] for n in range(3, 61)] == pytest.approx([score_of(losses[:n]) for n in range(3, 61)])
    assert ours[0] == losses[0] and ours[1] == pytest.approx(sum(losses[:2]) / 2)


@pytest.mark.parametrize("loss", [math.inf, math.nan, -math.inf])
def test_a_score_with_a_loss_that_is_no_number_is_infinite(loss: float) -> None:
    curve = race_of(lambda lr, step: loss if lr > 1 and step == 3 else bowl(lr, step))
    racer = Racer.of(curve.candidates[-1], np.empty(0), is_refined=False)
    assert racer.scores[-1] == math.inf and np.isfinite(racer.scores[:-1]).all()
