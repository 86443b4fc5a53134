"""Classic rules on curves whose answer is known, and their flags in the plot of a sweep."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bokeh.models import ColumnDataSource

from nbtune.engine import LRCurve, LRSettings
from nbtune.engine.learning_rate.events import LRStep
from nbtune.engine.learning_rate.sweep.classic_rules import ClassicRule, averaged, classic_rules
from nbtune.formats import format_lr
from nbtune.plots.base.columns import View
from nbtune.plots.base.labels import LABEL_COLOURS, text_px
from nbtune.plots.learning_rate.dispatch import lr_plot
from nbtune.plots.learning_rate.sweep.figure import SOURCES, lr_view
from nbtune.plots.learning_rate.sweep.labels import FRAME_WIDTHS
from nbtune.plots.learning_rate.sweep.rule_marks import RULES

INF, NAN = math.inf, math.nan
NAMES = ["valley", "steepest", "minimum ÷ 10", "first rise ÷ 12"]


def sweep(losses: list[float], *, steps: int | None = None) -> LRCurve:
    """A sweep from 1e-5 to 10 whose losses are given."""
    settings = LRSettings(mode="quick", steps=steps or len(losses))
    lrs = np.geomspace(1e-5, 10, settings.steps)[: len(losses)].tolist()
    events = [
        LRStep(index=i, lr=lr, loss=loss, smoothed_loss=loss, seconds=0.0)
        for i, (lr, loss) in enumerate(zip(lrs, losses, strict=True))
    ]
    return LRCurve.from_steps(events, settings=settings)


def whose_average_is(average: Callable[[int], float], steps: int = 100) -> list[float]:
    """Losses whose corrected exponential average, momentum 0.98, takes the values given."""
    kept = [average(i) * (1 - 0.98 ** (i + 1)) for i in range(steps)]
    return [(now - 0.98 * before) / 0.02 for before, now in zip([0.0, *kept], kept, strict=False)]


def lr_of(rules: tuple[ClassicRule, ...]) -> dict[str, float | None]:
    return {rule.name: rule.lr for rule in rules}


def valley(lr: float) -> float:
    fall = 2.3 - 1.6 / (1 + (0.04 / lr) ** 2)
    return fall if lr <= 0.3 else fall + 2 * (lr / 0.3 - 1) ** 2


def usual() -> LRCurve:
    return sweep([valley(float(lr)) for lr in np.geomspace(1e-5, 10, 100)[:81]], steps=100)


def test_four_rules_in_order_each_with_its_how_and_its_source() -> None:
    rules = classic_rules(usual())
    assert [rule.name for rule in rules] == NAMES
    assert all(rule.how and rule.source for rule in rules) and "per log η" in rules[1].how


def test_the_average_is_the_published_one() -> None:
    losses = [3.0, 1.0, 2.0]
    weights = [[1.0], [0.98, 1.0], [0.98**2, 0.98, 1.0]]
    expected = [np.average(losses[: i + 1], weights=weights[i]) for i in range(3)]
    assert averaged(losses) == pytest.approx(expected)


def test_the_minimum_is_that_of_the_average_divided_by_ten() -> None:
    curve = sweep(whose_average_is(lambda i: 2.0 + 0.01 * abs(i - 60)))
    assert lr_of(classic_rules(curve))["minimum ÷ 10"] == pytest.approx(curve.lrs[60] / 10)


def test_the_steepest_fall_is_where_it_begins_and_per_log_of_the_rate() -> None:
    # The same drop over a step of η ten thousand times smaller is far steeper per η, not per log η.
    curve = sweep(whose_average_is(lambda i: 2.0 - 0.30 * (i > 20) - 0.35 * (i > 70)))
    assert lr_of(classic_rules(curve))["steepest"] == pytest.approx(curve.lrs[70])


def test_half_way_down_the_longest_falling_run_is_the_valley() -> None:
    def average(i: int) -> float:
        return 2.0 + 0.001 * i if i < 40 else 1.99 - 0.01 * (i - 40) if i < 70 else 2.5

    # 31 losses, each lower than the one before: any of the first forty, and the steps 40 to 69.
    curve = sweep(whose_average_is(average))
    assert lr_of(classic_rules(curve))["valley"] == pytest.approx(curve.lrs[69 - 31 + 31 // 3 + 31 // 6])


def test_a_bump_does_not_cut_the_valley_in_two() -> None:
    smooth, bumpy = (
        sweep(whose_average_is(lambda i, b=bump: 2.0 - 0.01 * i + (b if i == 50 else 0.0))) for bump in (0.0, 0.5)
    )
    expected = lr_of(classic_rules(smooth))["valley"]
    assert expected == pytest.approx(lr_of(classic_rules(bumpy))["valley"], rel=0.4)


def test_the_longer_of_two_valleys_counts_not_the_deeper() -> None:
    # 10 steps of a deep fall, back up, then 40 steps of a shallow one that stays above the first.
    def average(i: int) -> float:
        return 2.0 - 0.1 * (i - 12) if 12 <= i < 22 else 3.0 - 0.01 * (i - 40) if 40 <= i < 80 else 3.5

    found = lr_of(classic_rules(sweep(whose_average_is(average))))["valley"]
    lrs = np.geomspace(1e-5, 10, 100)
    assert found is not None and lrs[45] < found < lrs[75]


def test_the_first_tenth_and_the_last_five_steps_are_left_out() -> None:
    early = sweep(whose_average_is(lambda i: 0.5 if i == 3 else 2.0 + 0.01 * abs(i - 60)))
    late = sweep(whose_average_is(lambda i: 0.5 if i >= 96 else 2.0 + 0.01 * abs(i - 60)))
    for curve in (early, late):
        assert lr_of(classic_rules(curve))["minimum ÷ 10"] == pytest.approx(curve.lrs[60] / 10)


def test_the_fourth_rule_is_the_sweeps_own_suggestion() -> None:
    curve = usual()
    rule = classic_rules(curve)[3]
    assert rule.lr == curve.suggestion and f"12× below η = {format_lr(curve.rises_from or 0)}" in rule.how


def test_a_loss_that_never_rose_has_no_first_rise() -> None:
    curve = sweep([2.0 - 0.01 * i for i in range(100)])
    assert curve.suggestion is not None and lr_of(classic_rules(curve))["first rise ÷ 12"] is None


def test_a_loss_that_only_rises_has_no_steepest_fall() -> None:
    assert lr_of(classic_rules(sweep([1.0 + 0.01 * i for i in range(100)])))["steepest"] is None


@pytest.mark.parametrize("taken", [0, 1, 7, 17])
def test_too_few_steps_have_no_answer(taken: int) -> None:
    rules = classic_rules(sweep([2.0 - 0.01 * i for i in range(taken)], steps=100))
    assert [rule.lr for rule in rules] == [None] * 4


@pytest.mark.parametrize("loss", [INF, NAN])
def test_what_comes_after_a_loss_without_a_number_does_not_count(loss: float) -> None:
    losses = [valley(float(lr)) for lr in np.geomspace(1e-5, 10, 100)]
    rules = classic_rules(sweep([*losses[:70], loss, *[1e-9] * 29]))
    known = [rule.lr for rule in rules[:3]]
    assert all(lr is not None and math.isfinite(lr) and lr < np.geomspace(1e-5, 10, 100)[70] for lr in known)


def test_a_race_is_no_sweep() -> None:
    with pytest.raises(ValueError, match="a race"):
        classic_rules(LRCurve.from_steps([], settings=LRSettings()))


# In the plot


def flags(view: View, prefix: str = "labels") -> list[tuple[str, float, str, float]]:
    """(name, x, align, y) of each."""
    c = view.columns[f"{prefix}_muted"]
    rows = zip(c["text"], c["x"], c["align"], c["y"], strict=True)
    return [row for row in rows if row[0] in NAMES]


def test_a_sweep_is_drawn_as_before_unless_rules_are_asked_for() -> None:
    columns = lr_view(usual()).columns
    assert all(len(columns[name]["x"]) == 0 for name in RULES.values()) and not flags(lr_view(usual()))


def test_each_rule_has_a_pole_at_its_rate_with_its_name_beside_the_top() -> None:
    curve = usual()
    rules = classic_rules(curve)
    view = lr_view(curve, rules=rules)
    assert {name: set(c) for name, c in view.columns.items()} == {name: set(c) for name, c in SOURCES.items()}
    for prefix, source in RULES.items():
        pole = view.columns[source]
        assert sorted(pole["x"]) == pytest.approx(sorted(rule.lr for rule in rules if rule.lr is not None))
        assert (pole["bottom"] == view.y_range[0]).all() and (pole["top"] < view.y_range[1]).all()
        lr = lr_of(rules)
        tops = dict(zip(pole["x"].round(9), pole["top"], strict=True))
        for name, x, align, y in flags(view, prefix):
            assert (x < (lr[name] or 0)) == (align == "right")
            assert tops[round(lr[name] or 0, 9)] == pytest.approx(y)


def test_no_label_of_a_sweep_with_rules_touches_another() -> None:
    for curve in (usual(), sweep([2.3] * 100), sweep([2.3 - 0.02 * i for i in range(100)])):
        view = lr_view(
            curve, rules=[Named(name, lr) for name, lr in zip(NAMES, (0.01, 0.011, 0.012, 0.013), strict=True)]
        )
        for prefix, width in FRAME_WIDTHS.items():
            boxes = list(_boxes(view, prefix, width))
            assert sum(name in NAMES for name, *_ in boxes) == 4
            for i, (_, left, right, y) in enumerate(boxes):
                assert not any(left < r and x < right and abs(y - other) < 17.9 for _, x, r, other in boxes[:i])


def test_rules_that_nobody_could_see_are_not_drawn() -> None:
    named = [Named("valley", None), Named("steepest", 7.95e-6), Named("minimum ÷ 10", 1e-3)]
    assert [name for name, *_ in flags(lr_view(usual(), rules=named))] == ["minimum ÷ 10"]
    assert not flags(lr_view(usual(), running=True, rules=named))


def test_what_the_rules_say_is_said_in_words_too() -> None:
    label = lr_view(usual(), rules=[Named("valley", 0.01), Named("steepest", None)]).label
    assert label.endswith("Suggested 0.044. Other rules: valley: 0.01, steepest: none.")


def test_the_figure_of_a_sweep_takes_rules() -> None:
    fig = lr_plot(usual(), rules=classic_rules(usual()))
    (source,) = fig.select({"type": ColumnDataSource, "name": "rules"})
    assert len(source.data["x"]) == 4
    poles = [r for r in fig.renderers if getattr(r, "data_source", None) is source]
    assert poles[0].glyph.tags[0]["theme"] == {"line_color": "muted"}


class Named:
    def __init__(self, name: str, lr: float | None) -> None:
        self.name, self.lr = name, lr


def _boxes(view: View, prefix: str, width: float) -> Any:
    left_edge, right_edge = -5 - 6 * 0.016, 1 + 6 * 0.016
    for colour in LABEL_COLOURS:
        c = view.columns[f"{prefix}_{colour}"]
        for i, text in enumerate(c["text"]):
            wide = text_px(text, c["weight"][i] == "bold")
            left = (math.log10(c["x"][i]) - left_edge) / (right_edge - left_edge) * width
            left -= {"left": 0.0, "center": wide / 2, "right": wide}[c["align"][i]]
            yield text, left, left + wide, (view.y_range[1] - c["y"][i]) / (view.y_range[1] - view.y_range[0]) * 220
