"""What a search over batch sizes looks like: one curve per k, and how the suggestion moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from bokeh.models import ColumnDataSource, GlyphRenderer
from race_results import bowl, flat, race_of

from nbtune.engine import LRSettings
from nbtune.engine.learning_rate.by_batch_size import LRByBatchSize
from nbtune.engine.learning_rate.events import Ended
from nbtune.plots import plot
from nbtune.plots.base.columns import View
from nbtune.plots.base.frame import fill
from nbtune.plots.base.labels import text_px
from nbtune.plots.base.tokens import TOKENS
from nbtune.plots.learning_rate.by_size.figure import CURVES, MOVES, by_size_figures, by_size_png, by_size_view
from nbtune.plots.learning_rate.by_size.scene import by_size_scene
from nbtune.plots.learning_rate.pair import FRAME_HEIGHT, FRAME_WIDTHS

KINDS = {"curves": CURVES, "moves": MOVES}


def shifted(factor: float, lr: float, step: int) -> float:
    return bowl(lr / factor, step)


def result_of(losses: dict[int, Callable[[float, int], float]], asked: tuple[int, ...] = ()) -> LRByBatchSize:
    steps = [replace(step, batch_size=k) for k, loss_of in losses.items() for step in race_of(loss_of).steps]
    return LRByBatchSize.from_steps(steps, settings=LRSettings(batch_sizes=asked or tuple(losses)))


def growing(*sizes: int) -> LRByBatchSize:
    return result_of({k: partial(shifted, math.sqrt(k) / 8) for k in sizes})


def broken(lr: float, step: int) -> float:
    return math.inf if lr else 2.3


def states() -> list[tuple[LRByBatchSize, bool]]:
    """(result, whether it is running) of all that a search can come to."""
    return [
        (result_of({}, (8, 32)), True), (growing(8), False), (growing(8, 32), False), (growing(8, 32, 128), False),
        (growing(8, 16, 32, 64, 128, 256, 512, 1024), False), (result_of({8: bowl, 32: flat}), False),
        (result_of({8: flat, 32: flat}), False), (result_of({8: broken, 32: bowl}), False),
        (result_of({8: bowl}, (8, 32, 128)), True),
        (result_of({8: lambda lr, step: bowl(lr, step) - 40, 32: bowl}), False),
        (replace(growing(8, 32), ended={64: "out of memory"}), False),
    ]  # fmt: skip


def texts(view: View, prefix: str = "labels") -> list[str]:
    return [t for name, c in view.columns.items() if name.startswith(f"{prefix}_") for t in c["text"]]


def test_every_state_fills_exactly_the_promised_sources_with_finite_numbers() -> None:
    for result, running in states():
        for kind, view in by_size_view(result, running=running).items():
            assert set(view.columns) == set(KINDS[kind])
            for name, columns in view.columns.items():
                assert tuple(columns) == KINDS[kind][name] and len({len(c) for c in columns.values()}) == 1
                for values in columns.values():
                    numbers = np.array([v for v in values if not isinstance(v, str)], dtype=float)
                    assert not np.isinf(numbers).any() and (np.abs(numbers[~np.isnan(numbers)]) < 1e6).all()
            assert view.y_range[0] < view.y_range[1] and view.x_range[0] < view.x_range[1]


def test_no_word_leaves_its_frame() -> None:
    for result, running in states():
        for kind, view in by_size_view(result, running=running).items():
            left, right = map(math.log, view.x_range)
            for prefix, width in FRAME_WIDTHS.items():
                for name, c in view.columns.items():
                    for i, text in enumerate(c["text"] if name.startswith(f"{prefix}_") else ()):
                        wide = text_px(text, c["weight"][i] == "bold")
                        px = (math.log(c["x"][i]) - left) / (right - left) * width
                        px -= wide if c["align"][i] == "right" else 0
                        assert px >= -1e-6 and px + wide <= width + 1e-6, (kind, text)


def test_each_curve_has_the_colour_of_its_k_and_its_name_at_the_lowest_point() -> None:
    result = growing(8, 32, 128)
    view = by_size_view(result)["curves"]
    for k, slot in ((8, "low"), (32, "middle"), (128, "high")):
        curve = result.curves[k]
        line = view.columns[f"line_{slot}"]
        assert line["x"].tolist()[:-1] == list(curve.lrs)
        lowest = min(curve.losses)
        assert view.columns[f"marks_{slot}"]["y"].tolist() == [lowest]
        assert view.columns[f"labels_{slot}"]["text"] == [f"k = {k}"]
    assert view.columns["line_rest"]["x"].size == 0


def test_suggestions_stand_over_their_k_with_their_range_and_the_power_law_through_them() -> None:
    result = growing(8, 32, 128)
    view = by_size_view(result)["moves"]
    for k, slot in ((8, "low"), (32, "middle"), (128, "high")):
        curve = result.curves[k]
        assert view.columns[f"marks_{slot}"]["x"].tolist() == [k]
        assert view.columns[f"marks_{slot}"]["y"].tolist() == [curve.suggestion]
        span = view.columns[f"range_{slot}"]
        assert (span["low"].tolist(), span["high"].tolist()) == ([curve.low], [curve.high])
    trend = view.columns["trend"]
    slope = np.polyfit(np.log(trend["x"]), np.log(trend["y"]), 1)[0]
    assert slope == pytest.approx(result.exponent) and 0.3 < slope < 0.7
    assert f"η ∝ k^{slope:.1f}" in texts(view)


def test_no_trend_is_drawn_where_it_does_not_move_or_is_not_known() -> None:
    for result, running in ((result_of({8: bowl, 32: bowl}), False), (growing(8), False), (growing(8, 128), True)):
        view = by_size_view(result, running=running)["moves"]
        assert view.columns["trend"]["x"].size == 0 and not any("∝" in text for text in texts(view))


def test_while_it_runs_only_those_that_are_through_have_a_suggestion() -> None:
    half = replace(growing(8, 32).settings, batch_sizes=(8, 32))
    steps = [replace(s, batch_size=8) for s in race_of(bowl).steps]
    steps += [replace(s, batch_size=32) for s in race_of(bowl).steps[:150]]
    scene = by_size_scene(LRByBatchSize.from_steps(steps, settings=half), True)
    assert [answer.series.batch_size for answer in scene.answers] == [8] and len(scene.curves) == 2


def test_a_k_that_does_not_fit_is_told_in_words() -> None:
    steps = [replace(s, batch_size=8) for s in race_of(bowl).steps]
    ended = Ended(batch_size=64, repeat=0, reason="out of memory")
    result = LRByBatchSize.from_steps([*steps, ended], settings=LRSettings(batch_sizes=(8, 64)))
    assert result.outcome == "finished" and result.limit.startswith("k = 64: out of memory.")
    assert by_size_view(result)["moves"].label.startswith("Suggested learning rate against batch size: 0.")


def test_filling_the_figures_puts_every_mark_into_its_source() -> None:
    result = growing(8, 32, 128)
    for kind, fig in by_size_figures(1e-5, 10.0, (8, 32, 128)).items():
        assert kind == "curves" or (fig.y_range.start, fig.y_range.end) == (1e-3, 1.0)  # logarithmic: never 0
        view = by_size_view(result)[kind]
        fill(fig, view)
        assert {s.name for s in fig.select({"type": ColumnDataSource})} == set(KINDS[kind])
        assert (fig.y_range.start, fig.y_range.end) == view.y_range
        for glyph in [r.glyph for r in fig.select({"type": GlyphRenderer})]:
            assert set(glyph.tags[0]["theme"].values()) <= set(TOKENS["dark"])
    assert len(plot(result).children) == 2


def test_the_picture_has_its_sentence_below() -> None:
    image = pytest.importorskip("matplotlib.image")
    from io import BytesIO

    for result in (growing(8, 32, 128), result_of({8: flat, 32: flat}), result_of({}, (8, 32))):
        png = by_size_png(result)
        assert png is not None and image.imread(BytesIO(png)).shape[0] >= 2 * (256 + FRAME_HEIGHT / 10)
