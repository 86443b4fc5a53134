"""The saved picture is the live figure: both canvases are asked what they drew, and compared mark by mark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from bokeh.models import FixedTicker, GlyphRenderer
from comparison_results import comparison_of, diverged
from drawn_marks import Drawn, assert_same, said_by_bokeh, said_by_matplotlib
from memory_results import MemoryEstimate, densenet, grid, limit_of, timeline, trial_of, what_fits
from race_results import bowl, in_doubt, plateau, race_of, refined, wavering

from nbtune.engine.batch_size.limit import BatchLimit
from nbtune.engine.comparison.result import Comparison
from nbtune.engine.curvature.estimate import Curvature
from nbtune.engine.descent.path import DescentPath
from nbtune.engine.descent.settings import DescentSettings
from nbtune.engine.learning_rate.by_batch_size import LRByBatchSize
from nbtune.engine.learning_rate.by_optimizer import LRByOptimizer
from nbtune.engine.learning_rate.curve import LRCurve, LRSettings
from nbtune.engine.learning_rate.events import LRStep
from nbtune.engine.learning_rate.sweep.classic_rules import classic_rules
from nbtune.plots.base import live, picture
from nbtune.plots.base.columns import View
from nbtune.plots.base.marks import AT, Axis, Hatch, Mark, Panel, Part, Words
from nbtune.plots.comparison.picture import comparison_parts
from nbtune.plots.descent.picture import descent_parts
from nbtune.plots.learning_rate.by_optimizer.figure import by_optimizer_parts
from nbtune.plots.learning_rate.by_size.figure import by_size_parts
from nbtune.plots.learning_rate.race.figure import race_parts, race_view
from nbtune.plots.learning_rate.sweep.figure import lr_view, sweep_parts
from nbtune.plots.memory.changes import changes_parts
from nbtune.plots.memory.grid import grid_parts
from nbtune.plots.memory.picture import layers_parts, memory_parts
from nbtune.plots.memory.timeline import timeline_part

pytest.importorskip("matplotlib")

CURVATURE = Curvature(limit_lr=0.1, rule="2/λmax", meaning="it overshoots", relative_error=0.01)


# Every figure, in states that show every mark


def sweep(until: int = 100) -> LRCurve:
    lrs = np.geomspace(1e-5, 10, 100)[:until].tolist()
    losses = [2.3 - 1.6 / (1 + (0.04 / lr) ** 2) + max(0.0, lr / 0.3 - 1) ** 2 for lr in lrs]
    steps = [
        LRStep(index=i, lr=lr, loss=loss, smoothed_loss=loss, seconds=0.01 * i)
        for i, (lr, loss) in enumerate(zip(lrs, losses, strict=True))
    ]
    return LRCurve.from_steps(steps, settings=LRSettings(mode="quick", lr_min=1e-5, lr_max=10.0, steps=100))


def swept_over_orders() -> LRCurve:
    steps = [
        replace(s, repeat=r, loss=s.loss + r / 10, smoothed_loss=s.loss + r / 10)
        for r in (0, 1)
        for s in sweep(90).steps
    ]
    return LRCurve.from_steps(steps, settings=replace(sweep().settings, repeats=2))


def noisy(lr: float, step: int) -> float:
    return bowl(lr, step) + (0.6 * math.sin(5 * step) if lr > 0.02 else 0.0)


def over_orders() -> LRCurve:
    losses = (bowl, lambda lr, step: 1.1 * bowl(2 * lr, step), plateau)
    steps = [replace(step, repeat=r) for r, loss_of in enumerate(losses) for step in race_of(loss_of).steps]
    return LRCurve.from_steps(steps, settings=LRSettings(repeats=3))


def harmful(lr: float, step: int) -> float:
    """Some rates raise the loss, and stay in the frame."""
    return 2.6 if lr > 0.05 else bowl(lr, step)


def by_size(*sizes: int) -> LRByBatchSize:
    steps = [replace(s, batch_size=k) for k in sizes for s in race_of(lambda lr, n, k=k: bowl(lr / k**0.5, n)).steps]
    return LRByBatchSize.from_steps(steps, settings=LRSettings(batch_sizes=sizes))


def by_optimizer(*names: str) -> LRByOptimizer:
    """The task's own first; each finds its best rate ten times higher than the one before, and falls less far."""
    steps = [
        replace(s, optimizer=name, loss=s.loss + 0.1 * place)
        for place, name in enumerate(names)
        for s in race_of(lambda lr, n, place=place: bowl(lr / 10**place, n)).steps
    ]
    return LRByOptimizer.from_steps(steps, settings=LRSettings(optimizers=dict.fromkeys(names[1:], "SGD")))


def limits() -> list[BatchLimit]:
    """Measured and predicted, in parts and as a whole, on a card and on none."""
    whole = [trial_of(1, measured=True, parts=()), trial_of(2, parts=())]
    slower = trial_of(256, fits=False, fits_with_retries=True)
    return [densenet(), densenet(8, capacity=None), limit_of(whole), limit_of([*whole, slower])]


def comparisons() -> list[Comparison]:
    return [comparison_of(), comparison_of(dict.fromkeys((1, 4, 16, 64), 0.1)), diverged()]


def descents(yours: float) -> list[DescentPath]:
    return [DescentPath.of(DescentSettings(lr=lr)) for lr in (0.01, 0.12, yours)]


def running(parts: list[Part], views: Any) -> list[Part]:
    """The same panels in the middle of a run, as only a live figure shows them."""
    return [replace(part, view=view) for part, view in zip(parts, views, strict=True)]


def sweeps() -> list[Part]:
    curve, half = sweep(90), sweep(56)
    theory = replace(curve, curvature=CURVATURE)
    parts = [part for one in (curve, sweep(62), theory, swept_over_orders()) for part in sweep_parts(one)]
    rules = [lr_view(curve, rules=classic_rules(curve))]
    return [*parts, *running(sweep_parts(half), [lr_view(half, running=True)]), *running(sweep_parts(curve), rules)]


def races() -> list[Part]:
    theory = replace(race_of(), curvature=CURVATURE)
    parts = [
        part for one in (race_of(), over_orders(), race_of(noisy), race_of(harmful), theory) for part in race_parts(one)
    ]
    more = (race_of(plateau), race_of(wavering), refined(race_of(), 0.018, 0.056), in_doubt(refined(race_of(), 0.056)))
    parts += [part for one in more for part in race_parts(one)]
    return [*parts, *running(race_parts(race_of()), race_view(race_of(until=20), running=True).values())]


PICTURES: dict[str, Callable[[], list[Part]]] = {
    "sweep": sweeps,
    "race": races,
    "by size": lambda: [*by_size_parts(by_size(8, 32, 128)), *by_size_parts(by_size(8, 16, 32, 128))],
    "by optimizer": lambda: [
        *by_optimizer_parts(by_optimizer("SGD (yours)", "Adam", "Lion")),
        *by_optimizer_parts(by_optimizer("SGD (yours)", "Adam", "RMSprop", "Lion")),
    ],
    "comparison": lambda: [part for one in comparisons() for part in comparison_parts(one, held_out=True)],
    "memory": lambda: [part for limit in limits() for part in memory_parts(limit)],
    "layers": lambda: layers_parts(MemoryEstimate(), 8),
    "grid": lambda: grid_parts(grid()),
    "changes": lambda: changes_parts(what_fits()),
    "timeline": lambda: [timeline_part(timeline(), 8 * 2**30)],
    "descent": lambda: [part for lr in (0.01, 0.12, 0.19) for part in descent_parts(descents(lr))],
}  # fmt: skip


@cache
def parts_of(name: str) -> tuple[Part, ...]:
    return tuple(PICTURES[name]())


@cache
def drawn_parts(name: str) -> tuple[tuple[Part, Any, Any], ...]:
    """Each part, the live figure of it, and the saved picture's axes."""
    return tuple((part, *on_both(part)) for part in parts_of(name))


def on_both(part: Part) -> tuple[Any, Any]:
    (axes,) = picture.figure_of([part], 400).axes
    return live.live(part.panel, part.view), axes


NEVER = {
    "by size": {"labels_rest"},
    "by optimizer": {"labels_rest", "labels_answer"},
    "memory": {"labels_danger", "labels_answer", "labels_muted"},
}
"""Sources whose marks none of these states shows."""


def both(part: Part, fig: Any, axes: Any) -> Iterator[tuple[Mark | Words, Drawn, Drawn]]:
    """What either canvas says of each mark that a wide view shows."""
    artists = [*axes.lines, *axes.collections, *axes.texts, *axes.patches]
    shown = [renderer for renderer in fig.renderers if isinstance(renderer, GlyphRenderer)]
    for i, (mark, renderer) in enumerate(zip(part.panel.marks, shown, strict=True)):
        drawn = [artist for artist in artists if artist.get_gid() == f"mark {i}"]
        if isinstance(mark, Mark) and not mark.is_seen:
            assert not drawn and not getattr(renderer.glyph, "fill_alpha", renderer.glyph.line_alpha)
        elif mark.only == "narrow":
            assert not drawn and not renderer.visible
        else:
            yield mark, said_by_bokeh(renderer), said_by_matplotlib(drawn, is_scaled=bool(getattr(mark, "by", "")))


def compare(part: Part, fig: Any, axes: Any) -> None:
    for _, bokeh, saved in both(part, fig, axes):
        assert_same(bokeh, saved)


# The tests


@pytest.mark.parametrize("name", PICTURES)
def test_both_canvases_draw_the_same_marks(name: str) -> None:
    for part, fig, axes in drawn_parts(name):
        compare(part, fig, axes)


@pytest.mark.parametrize("name", PICTURES)
def test_the_states_compared_here_show_every_mark(name: str) -> None:
    marks, seen = set(), set()
    for part in parts_of(name):
        drawable = {m for m in part.panel.marks if m.only != "narrow" and (isinstance(m, Words) or m.is_seen)}
        marks |= drawable
        seen |= {m for m in drawable if len(next(iter(part.view.columns[m.source].values())))}
    assert {mark.source for mark in marks - seen} == NEVER.get(name, set())


@pytest.mark.parametrize("name", PICTURES)
def test_marks_lie_in_the_same_order_on_both(name: str) -> None:
    for part, _, axes in drawn_parts(name):
        drawn = [a for a in (*axes.lines, *axes.collections, *axes.texts) if a.get_gid()]
        levels = [(getattr(m, "level", "") != "underlay", i) for i, m in enumerate(part.panel.marks)]
        order = sorted({(a.get_zorder(), levels[int(a.get_gid().split()[1])]) for a in drawn})
        assert [level for _, level in order] == sorted(level for _, level in order)


@pytest.mark.parametrize("name", PICTURES)
def test_both_canvases_have_the_same_axes(name: str) -> None:
    for part, fig, axes in drawn_parts(name):
        assert axes.get_xlim() == pytest.approx((fig.x_range.start, fig.x_range.end))
        assert axes.get_ylim() == pytest.approx((fig.y_range.start, fig.y_range.end))
        if not part.panel.has_axes:
            assert not axes.axison and not any(axis.visible for axis in fig.axis)
            continue
        for ours, theirs, ends in (
            (fig.xaxis[0], axes.xaxis, axes.get_xlim()),
            (fig.yaxis[0], axes.yaxis, axes.get_ylim()),
        ):
            assert theirs.get_label_text() == (ours.axis_label or "")
            if isinstance(ours.ticker, FixedTicker):
                shown = [tick for tick in ours.ticker.ticks if min(ends) <= tick <= max(ends)]
                assert set(theirs.get_ticklocs()) <= set(shown) and bool(shown) == bool(len(theirs.get_ticklocs()))
                names = [ours.major_label_overrides.get(tick) for tick in theirs.get_ticklocs()]
                written = [text.get_text() for text in theirs.get_ticklabels()]
                assert all(name in (None, text) for name, text in zip(names, written, strict=True))


def other_line(draw: Any) -> Any:
    return lambda axes, mark, at: draw(axes, replace(mark, line="muted" if mark.line != "muted" else "ink"), at)


def no_dash(draw: Any) -> Any:
    return lambda axes, mark, at: draw(axes, replace(mark, dash=()), at)


def wider(draw: Any) -> Any:
    return lambda axes, mark, at: draw(axes, replace(mark, width=1.1 * mark.width), at)


def moved(draw: Any) -> Any:
    return lambda axes, mark, at: draw(axes, mark, [column * 1.01 for column in at])


def dropped(draw: Any) -> Any:
    return lambda axes, mark, at: []


@pytest.mark.parametrize("change", [other_line, no_dash, wider, moved, dropped])
@pytest.mark.parametrize("kind", ["line", "segment", "rule"])
def test_a_picture_that_draws_a_mark_otherwise_would_be_seen(
    change: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = comparison_parts(comparison_of())[0] if kind == "rule" else memory_parts(densenet())[0]
    part = part if kind != "line" else sweep_parts(sweep(90))[0]
    monkeypatch.setitem(picture.DRAW, kind, change(picture.DRAW[kind]))
    with pytest.raises(AssertionError):
        compare(part, *on_both(part))


@pytest.mark.parametrize("look", [{"line_dash": "dotted"}, {"line_width": 9.0}, {"line_alpha": 0.5}])
def test_a_live_figure_that_draws_a_mark_otherwise_would_be_seen(
    look: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = live.DRAW["line"]
    monkeypatch.setitem(live.DRAW, "line", lambda fig, mark, given: draw(fig, mark, {**given, **look}))
    (part,) = sweep_parts(sweep(90))
    with pytest.raises(AssertionError):
        compare(part, *on_both(part))


def test_every_kind_of_mark_has_a_hand_on_both_canvases() -> None:
    assert set(live.DRAW) == set(picture.DRAW) == set(AT)


def test_a_bar_and_a_quad_with_all_they_can_have_are_the_same_on_both() -> None:
    """Inside, hatch and dashed line at once, which no figure has."""
    look = {
        "line": "ink",
        "fill": "data",
        "alpha": 0.4,
        "width": 2.0,
        "dash": (4, 3),
        "hatch": Hatch("x", "danger", 12, 0.5),
    }
    marks = (
        Mark("bar", "box", at=("x", 0.0, "top"), span=0.5, **look),
        Mark("quad", "box", at=("x", "top", 0.0, "top"), **look),
    )
    columns = {"box": {"x": np.array([1.0, 2.0]), "top": np.array([3.0, 4.0])}}
    panel = Panel({"box": ("x", "top")}, marks, Axis(range=(0.0, 5.0)), Axis(range=(0.0, 5.0)), 100)
    part = Part(panel, View(columns, (0.0, 5.0), ""), (50, 10, 300, 80))
    compare(part, *on_both(part))
