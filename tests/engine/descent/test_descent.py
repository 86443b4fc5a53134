"""Gradient descent on surfaces: what is computed, what is said of it, and what is drawn."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nbtune.engine.descent.path import DescentPath
from nbtune.engine.descent.settings import DescentSettings
from nbtune.engine.descent.surfaces import SAMPLES, SURFACES, Surface, lr_limit
from nbtune.engine.descent.walk import FAR, descend, sample_noise
from nbtune.plots.base.columns import View
from nbtune.plots.descent.contours import contours_of
from nbtune.plots.descent.figure import SOURCES, descent_path_figure
from nbtune.plots.descent.picture import descent_png
from nbtune.plots.descent.strip import SOURCES as STRIP_SOURCES
from nbtune.plots.descent.strip import Y_RANGE, strip_view
from nbtune.plots.descent.view import family_of, path_title, path_view

QUADRATICS = ("bowl", "narrow valley")
VALLEY = SURFACES["narrow valley"]


def path_of(lr: float | None = None, **changes: object) -> DescentPath:
    return DescentPath.of(DescentSettings(lr=lr, **changes))  # type: ignore[arg-type]


def all_paths() -> list[DescentPath]:
    shares = (1e-4, 0.06, 0.3, 0.72, 0.95, 0.9999, 1.0, 1.0001, 1.02, 1.14, 1.5, 40.0)
    return [
        path_of(share * lr_limit(surface), surface=name, batch_size=k)
        for name, surface in SURFACES.items() for k in (64, 16, 4, 1) for share in shares
    ]  # fmt: skip


# The surfaces


@pytest.mark.parametrize("surface", SURFACES.values(), ids=list(SURFACES))
def test_gradient_and_hessian_are_the_derivatives_of_the_loss(surface: Surface) -> None:
    step = 1e-5
    for w1, w2 in np.random.default_rng(0).uniform((-5, -3), (5, 3), (50, 2)):
        along_1 = (surface.loss(w1 + step, w2) - surface.loss(w1 - step, w2)) / (2 * step)
        along_2 = (surface.loss(w1, w2 + step) - surface.loss(w1, w2 - step)) / (2 * step)
        assert surface.gradient(w1, w2) == pytest.approx((along_1, along_2), rel=1e-5, abs=1e-5)
        moved = np.array(surface.gradient(w1 + step, w2)) - np.array(surface.gradient(w1 - step, w2))
        assert np.array(surface.hessian(w1, w2))[0] == pytest.approx(moved / (2 * step), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("surface", SURFACES.values(), ids=list(SURFACES))
def test_minima_are_level_and_lowest_and_the_first_is_nearest_to_the_start(surface: Surface) -> None:
    for minimum in surface.minima:
        assert surface.gradient(*minimum) == pytest.approx((0, 0), abs=1e-9)
        assert np.linalg.eigvalsh(np.array(surface.hessian(*minimum)))[0] > 0
    distances = [math.dist(surface.start, minimum) for minimum in surface.minima]
    assert distances == sorted(distances)
    assert min(surface.loss(*minimum) for minimum in surface.minima) == pytest.approx(0, abs=1e-12)


def test_the_limit_is_two_over_the_largest_curvature() -> None:
    assert lr_limit(VALLEY) == pytest.approx(2 / 12)
    assert lr_limit(SURFACES["bowl"]) == pytest.approx(2)
    assert lr_limit(SURFACES["two minima"]) == pytest.approx(0.4)
    assert lr_limit(SURFACES["two minima"], 1) > lr_limit(SURFACES["two minima"])


@pytest.mark.parametrize("name", QUADRATICS)
def test_a_quadratic_diverges_just_above_the_limit_and_converges_just_below(name: str) -> None:
    limit = lr_limit(SURFACES[name])
    below, above = (path_of(share * limit, surface=name, steps=1000).steps for share in (0.995, 1.005))
    assert below[-1].loss < 1e-3 * below[0].loss
    assert above[-1].loss > 1e3 * above[0].loss


# The descent


def test_all_data_are_exact_gradient_descent() -> None:
    w1, w2 = VALLEY.start
    for step in descend(DescentSettings(lr=0.12)):
        assert (step.w1, step.w2, step.loss) == (w1, w2, 0.5 * (w1 * w1 + 12 * w2 * w2))
        w1, w2 = w1 - 0.12 * w1, w2 - 0.12 * (12.0 * w2)


def test_the_samples_pulls_cancel_exactly_so_their_mean_loss_is_the_surface() -> None:
    noise = sample_noise()
    assert noise.shape == (SAMPLES, 2) and noise.sum(axis=0).tolist() == [0.0, 0.0]
    assert noise.std(axis=0) == pytest.approx((1, 1), rel=0.02)


@pytest.mark.parametrize("k", [1, 4, 16])
def test_an_epoch_draws_every_sample_once(k: int) -> None:
    settings = DescentSettings(lr=1e-9, batch_size=k, steps=2 * SAMPLES // k)
    steps = list(descend(settings))
    pulls = np.diff([(s.w1, s.w2) for s in steps], axis=0) / -1e-9 - np.array(VALLEY.gradient(*VALLEY.start))
    epochs = pulls.reshape(2, -1, 2)
    assert np.abs(epochs.sum(axis=1)).max() < 0.01
    assert not np.allclose(epochs[0], epochs[1])
    if k == 1:
        expected = np.sort(VALLEY.noise * sample_noise()[:, 0])
        assert np.sort(epochs[0][:, 0]) == pytest.approx(expected, abs=0.01)


def test_a_smaller_batch_ends_farther_from_the_minimum_and_a_smaller_rate_closer() -> None:
    def mean_loss(k: int, lr: float = 0.12) -> float:
        runs = (path_of(lr, batch_size=k, seed=seed, steps=200).steps[-40:] for seed in range(8))
        return float(np.mean([step.loss for steps in runs for step in steps]))

    losses = [mean_loss(k) for k in (64, 16, 4, 1)]
    assert losses == sorted(losses) and losses[0] < 1e-9
    assert mean_loss(1, 0.03) < 0.5 * losses[-1]


def test_the_seed_orders_the_samples_and_nothing_else() -> None:
    assert path_of(0.1, batch_size=4) == path_of(0.1, batch_size=4)
    assert path_of(0.1, batch_size=4, seed=1).steps != path_of(0.1, batch_size=4).steps
    assert path_of(0.1, seed=1).steps == path_of(0.1).steps


@pytest.mark.parametrize("lr", [1e-300, 0.3, 7.0, 1e30, 1.7e308])
def test_every_number_stays_finite_at_any_rate_and_nothing_warns(lr: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SURFACES:
            steps = path_of(lr, surface=name, batch_size=1, steps=1000).steps
            assert all(math.isfinite(x) for s in steps for x in (s.w1, s.w2, s.loss))
            assert all(max(abs(s.w1), abs(s.w2)) < FAR for s in steps[:-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.0}, "above 0"), ({"lr": -0.1}, "above 0"), ({"lr": math.nan}, "above 0"),
        ({"lr": math.inf}, "above 0"),
        ({"lr": "0.1"}, "number"), ({"lr": True}, "number"), ({"surface": "saddle"}, "one of bowl"),
        ({"batch_size": 0}, "from 1 up"), ({"batch_size": 5}, "divide"), ({"batch_size": 128}, "divide"),
        ({"batch_size": 4.0}, "whole"), ({"steps": 0}, "from 1 up"), ({"steps": 1001}, "at most"),
        ({"seed": -1}, "from 0"),
    ],
)  # fmt: skip
def test_settings_outside_their_limits_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        DescentSettings(**changes)  # type: ignore[arg-type]


# What is said of it


def test_a_small_rate_creeps_a_good_one_arrives_and_one_above_the_limit_flies_off() -> None:
    small, good, large = path_of(0.01), path_of(0.12), path_of(0.19)
    assert [p.outcome for p in (small, good, large)] == ["creeps", "arrives", "flies off"]
    assert (good.arrives_at, large.leaves_at) == (16, 4)
    assert large.verdict == "η = 0.19 is above the limit 2/λmax = 0.167"
    assert large.reason == "each step jumps over the valley floor and lands higher on the other side."
    assert path_of(0.05).reason == "it arrives after 39 steps."
    assert small.reason == "it creeps; after 40 steps it is still at 22 % of the start."


def test_above_the_nearer_minimums_limit_a_path_jumps_into_the_flatter_one() -> None:
    below, above = path_of(0.38, surface="two minima"), path_of(0.46, surface="two minima")
    assert (below.outcome, above.outcome) == ("arrives", "jumps over")
    assert above.steps[-1].w1 == pytest.approx(2.2, abs=1e-3) and below.steps[-1].w1 < -1.9
    assert "limit 0.54" in above.reason
    assert path_of(1.0, surface="two minima").outcome == "flies off"


def test_a_noisy_path_says_at_which_loss_it_wanders() -> None:
    path = path_of(0.12, batch_size=1)
    mean = np.mean([step.loss for step in path.steps[-10:]])
    assert path.outcome == "wanders" and path.verdict == "k = 1"
    assert f"at a loss of {mean:.2f} over its last 10 steps" in path.reason


def test_noise_that_carries_a_path_out_is_not_blamed_on_the_limit() -> None:
    path = path_of(1.9, surface="bowl", batch_size=1)
    assert path.outcome == "flies off" and "is below the limit" in path.verdict and "noise of k = 1" in path.reason


def test_arriving_means_staying_within_a_hundredth_of_the_way_down() -> None:
    for path in all_paths():
        if path.arrives_at is not None:
            lowest = min(
                (path.settings.landscape.loss(*m) for m in path.settings.landscape.minima),
                key=lambda low: abs(low - path.steps[-1].loss),
            )
            left = [(step.loss - lowest) / (path.steps[0].loss - lowest) for step in path.steps]
            assert max(left[path.arrives_at :]) <= 0.01 < left[path.arrives_at - 1]


def test_every_sentence_fits_on_about_a_line() -> None:
    for path in all_paths():
        assert len(f"{path.verdict}: {path.reason} {path.limit}") <= 128, path
        assert path.reason.endswith(".") and "nan" not in repr(path)


def test_the_rate_is_written_so_that_it_differs_from_the_limit() -> None:
    assert path_of(0.1666).rate_text == "0.1666"
    assert path_of(0.16666).rate_text == "0.16666"
    assert path_of(0.12).rate_text == "0.12"


def test_a_path_is_a_fold_of_any_number_of_its_steps() -> None:
    path = path_of(0.19)
    assert DescentPath.from_steps(path.steps, settings=path.settings) == path
    assert path.until(3).leaves_at is None and path.until(4).leaves_at == 4
    assert DescentPath.from_steps([]).steps == () and path.until(0).reason


def test_a_path_becomes_plain_json() -> None:
    plain = json.loads(json.dumps(path_of(0.12, batch_size=16).to_dict()))
    assert (plain["kind"], plain["schema"], plain["settings"]["batch_size"]) == ("descent_path", 1, 16)
    assert len(plain["steps"]) == 41 and len(plain["steps"][0]) == 4


# What is drawn


def assert_filled(view: View, sources: dict[str, tuple[str, ...]]) -> None:
    assert {name: set(columns) for name, columns in view.columns.items()} == {n: set(c) for n, c in sources.items()}
    for columns in view.columns.values():
        assert len({len(column) for column in columns.values()}) == 1
        assert all(isinstance(c, list) or c.dtype == np.float64 for c in columns.values())


def test_every_path_fills_exactly_the_promised_sources_also_on_its_way() -> None:
    for path in all_paths():
        for until in (None, 0, 1, 7):
            assert_filled(path_view(path, until), SOURCES)
            assert_filled(strip_view([path, path, path], until), STRIP_SOURCES)


def test_a_path_that_leaves_is_cut_at_the_frame_and_says_at_which_step() -> None:
    view = path_view(path_of(0.19))
    path, dots, note = (view.columns[name] for name in ("path_danger", "dots_danger", "note"))
    assert len(path["x"]) == 5 and path["y"][-1] == pytest.approx(3) and len(dots["x"]) == 3
    assert note["text"] == ["leaves at step 4"]
    assert view.label == "Path from (−4.3, 1.25). At η = 0.19 it leaves the picture at step 4."
    for path_out in (p for p in all_paths() if p.outcome == "flies off"):
        line = path_view(path_out).columns["path_danger"]
        assert np.abs(line["x"]).max() <= 5 + 1e-9 and np.abs(line["y"]).max() <= 3 + 1e-9


def test_before_it_leaves_a_path_says_where_it_is() -> None:
    view = path_view(path_of(0.19), until=2)
    assert len(view.columns["path_danger"]["x"]) == 3 and view.columns["note"]["text"] == []
    assert view.label.endswith("loss 29 after step 2.")


def test_a_path_is_drawn_as_what_it_does() -> None:
    assert [family_of(path_of(lr)) for lr in (0.01, 0.12, 0.168, 0.19)] == ["data", "answer", "danger", "danger"]
    assert path_title(path_of(0.12), "good") == "good: η = 0.12, arrives"
    assert path_title(path_of(0.12), "good", 3) == "good: η = 0.12, step 3"


def test_loss_lines_end_where_they_leave_the_strip() -> None:
    for path in all_paths():
        for name, columns in strip_view([path, path, path]).columns.items():
            if name.startswith("line_") and len(columns["y"]):
                assert Y_RANGE[0] * 0.999 <= columns["y"].min() and columns["y"].max() <= Y_RANGE[1] * 1.001
                assert (np.diff(columns["x"]) > 0).all()


def test_labels_at_the_lines_ends_are_apart() -> None:
    path = path_of(0.12)
    columns = strip_view([path, path, path]).columns
    heights = sorted(math.log(y) for name, c in columns.items() if name.startswith("labels_") for y in c["y"])
    px = (math.log(Y_RANGE[1]) - math.log(Y_RANGE[0])) / 72
    assert len(heights) == 3 and all(b - a > 17 * px for a, b in pairwise(heights))


@pytest.mark.parametrize("surface", SURFACES.values(), ids=list(SURFACES))
def test_contours_are_lines_of_equal_loss_in_few_points(surface: Surface) -> None:
    lines = contours_of(surface)
    assert len(lines["x"]) < 500 and np.isnan(lines["x"][-1])
    gaps = np.flatnonzero(np.isnan(lines["x"]))
    for part in np.split(np.column_stack([lines["x"], lines["y"]]), gaps + 1)[:-1]:
        losses = surface.loss(*part[:-1].T)
        assert losses.max() - losses.min() < 0.1 * losses.mean() + 0.05


def test_the_figure_of_a_path_shows_it_under_a_title() -> None:
    figure = descent_path_figure(path_of(0.19))
    sources = {r.data_source.name: r.data_source for r in figure.renderers}
    assert len(sources["path_danger"].data["x"]) == 5
    assert figure.above[0].text == "η = 0.19, flies off"


def test_the_picture_for_saved_notebooks_is_a_png_of_any_state() -> None:
    for path in (path_of(0.19), path_of(0.3, surface="two minima", batch_size=1), path_of(2.5, surface="bowl")):
        calm = replace(path.settings, lr=0.01)
        png = descent_png([DescentPath.of(calm), DescentPath.of(calm.at_share(0.72)), path])
        assert png is not None and png.startswith(b"\x89PNG")
