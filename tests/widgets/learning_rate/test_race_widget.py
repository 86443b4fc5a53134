"""The learning-rate finder's race without a browser: what it would draw and say is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import driver
import pytest
import torch
from driver import PATIENCE_SECONDS, Gate, at_step, click, ended, said
from tasks import blobs, everything, hard_task, plain_task
from torch import nn

from nbtune.engine import LRCurve, LRSettings, RaceStep, search_lr
from nbtune.engine.learning_rate.race import run as lr_race
from nbtune.engine.learning_rate.race.standings import MOST_STEPS
from nbtune.jobs import BOARD
from nbtune.widgets import LRFinder
from nbtune.widgets.learning_rate.acts import SearchAct
from nbtune.widgets.learning_rate.words import running_sentence


def drawn(finder: LRFinder, plot: str, source: str, column: str = "x") -> list[float]:
    return driver.drawn(finder.plots[plot], source, column)


def test_the_race_is_the_default_and_its_answer_is_shown_said_and_applied() -> None:
    task = hard_task()
    before = everything(task)
    finder = LRFinder(task)
    assert finder.mode == "race" and finder.values["rates"] == "13"
    click(finder, "start", values=finder.values)
    curve = ended(finder).result
    assert everything(task) == before and finder.state == "done" and curve.outcome == "finished"
    answer = finder.apply_label.removeprefix("Apply ")
    assert said(finder).startswith(f"Use {answer}: good from ") and [answer, "answer"] in finder.sentence
    assert drawn(finder, "scores", "suggestion") == [curve.suggestion]
    assert f"Suggested {answer.removeprefix('η = ')}" in finder.plots["scores"].data["label"]
    assert finder.plots["course"].data["y_range"] == finder.plots["scores"].data["y_range"]
    assert finder.progress["fraction"] == 1 and finder.progress["text"].endswith("13 rates · finished")
    click(finder, "apply")
    assert task.lr == curve.suggestion


def test_the_widget_and_the_function_give_the_same_answer() -> None:
    from nbtune.engine import find_lr

    finder = LRFinder(plain_task(), rates=7)
    finder.start()
    assert ended(finder).result.suggestion == find_lr(plain_task(), rates=7, progress=False).suggestion


def test_a_stopped_race_keeps_its_steps_and_says_so() -> None:
    finder = LRFinder(at_step(40, lambda: click(finder, "stop")))
    finder.start()
    curve = ended(finder).result
    assert curve.outcome == "stopped" and 0 < curve.updates < 100 and finder.progress["kind"] == "stopped"
    assert said(finder).startswith("Stopped before the race was decided") and finder.apply_label == ""
    assert drawn(finder, "scores", "suggestion") == []


def test_the_mode_cannot_be_changed_while_a_race_runs() -> None:
    gate = Gate()
    finder = LRFinder(at_step(3, gate))
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    click(finder, "set", mode="quick")
    assert finder.mode == "race"
    gate.opened.set()
    ended(finder)


def test_what_was_found_in_one_mode_is_not_said_over_the_other() -> None:
    finder = LRFinder(plain_task())
    finder.start()
    ended(finder)
    answer = (said(finder), finder.apply_label, finder.progress)
    click(finder, "set", mode="quick")
    assert said(finder).startswith("Press Start") and finder.apply_label == "" and finder.progress["text"] == ""
    click(finder, "apply")
    assert finder.task.lr == 0.1
    click(finder, "set", mode="race")
    assert (said(finder), finder.apply_label, finder.progress) == answer


def test_a_mode_starts_its_own_kind_of_run_with_its_own_fields() -> None:
    finder = LRFinder(plain_task())
    click(finder, "start", mode="quick", values={**finder.values, "steps": "30", "rates": "nonsense"})
    assert ended(finder).result.settings == LRSettings(mode="quick", steps=30, curvature=True)
    click(finder, "start", mode="race", values={**finder.values, "rates": "5", "steps": "nonsense"})
    assert len(ended(finder).result.candidates) == 5


def test_too_few_rates_are_told() -> None:
    finder = LRFinder(plain_task())
    click(finder, "start", values={**finder.values, "rates": "3"})
    assert finder.problem is not None and "rates must be" in finder.problem["text"] and finder.state != "running"


def test_classic_rules_are_shown_on_a_sweep_when_asked_for() -> None:
    finder = LRFinder(plain_task(), mode="quick")
    finder.start()
    ended(finder)

    def marks() -> int:
        return len(drawn(finder, "plot", "rules"))

    assert marks() == 0
    click(finder, "set", values={**finder.values, "rules": "on"})
    assert 2 <= marks() <= 4 and "valley" in finder.plots["plot"].data["label"]
    click(finder, "set", values={**finder.values, "rules": ""})
    assert marks() == 0


def test_a_replay_is_said_while_it_runs_and_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lr_race, "copies_at_once", lambda task: 1)
    sentences: list[str] = []
    draw: Callable[..., Any] = SearchAct.draw_events

    def watched(act: SearchAct, events: list[Any]) -> None:
        draw(act, events)
        sentences.append(said(finder))

    monkeypatch.setattr(SearchAct, "draw_events", watched)
    finder = LRFinder(plain_task())
    finder.start()
    assert any("began anew" in note for note in ended(finder).notes)
    assert any("Each round begins anew" in sentence for sentence in sentences)


def test_an_error_in_a_race_is_shown_and_nothing_is_lost() -> None:
    def fail() -> None:
        raise ZeroDivisionError("in the model")

    finder = LRFinder(at_step(20, fail))
    before = everything(finder.task)
    finder.start()
    ended(finder)
    assert finder.state == "failed" and "in the model" in str(finder.problem) and everything(finder.task) == before
    assert finder.problem is not None and finder.problem["title"].startswith("Your model raised an error")


def test_an_error_in_the_data_of_a_race_is_said_to_be_theirs() -> None:
    def batches() -> Iterator[Any]:
        inputs, targets = blobs()
        yield inputs[:8], targets[:8]
        raise OSError("disk")

    finder = LRFinder(plain_task(data=batches()))
    finder.start()
    ended(finder)
    assert finder.problem is not None and finder.problem["title"].startswith("Your data raised an error")


def test_a_range_that_is_too_high_offers_a_lower_one() -> None:
    finder = LRFinder(plain_task(), lr_min=1e3, lr_max=1e6)
    finder.start()
    ended(finder)
    assert finder.suggestion_action is not None and finder.suggestion_action["label"].startswith("Try ")
    assert "the range is too high" in said(finder) and finder.apply_label == ""


def test_the_curve_while_it_runs_is_the_fold_of_the_steps_so_far() -> None:
    torch.manual_seed(0)
    finder = LRFinder(plain_task())
    finder.start()
    curve = ended(finder).result
    events = [*curve.steps, curve.curvature]
    assert LRCurve.from_steps(events, settings=curve.settings, batch_size=curve.batch_size) == curve


@pytest.mark.parametrize(("fall", "is_said"), [(0.0, False), (0.05, True)])
def test_one_is_only_said_to_be_ahead_where_the_loss_has_fallen(fall: float, is_said: bool) -> None:
    settings = LRSettings(rates=4)
    steps = [
        RaceStep(lr=lr, step=step + 1, loss=2.0 - (fall * step if lr else 0) + 1e-3 * lr, seconds=0.0)
        for step in range(13)
        for lr in (*settings.race_lrs, 0.0)
    ]
    curve = LRCurve.from_steps(steps, settings=settings)
    words = "".join(text for text, _ in running_sentence(curve, search_lr(plain_task(), settings)))
    assert ("Ahead so far: η = 1e-5" in words) == is_said


@pytest.mark.parametrize("stops_after", [None, 60])
def test_steps_are_counted_alike_in_panel_board_and_result(stops_after: int | None) -> None:
    """A step is an update of weights: a race's control, which only looks, takes none."""
    on_board: list[Any] = []
    calls = 0

    def loss_fn(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        on_board.extend(job.progress for job in BOARD.jobs)
        if calls == stops_after:
            finder.stop()
        return nn.functional.cross_entropy(outputs, targets)

    finder = LRFinder(plain_task(loss_fn=loss_fn), curvature=False)
    curve = finder.run()
    assert (curve.outcome == "stopped") == (stops_after is not None)
    taken = sum(len(candidate.losses) for candidate in curve.candidates)
    assert curve.updates == taken and f"{taken} steps in all" in finder.progress["text"]
    assert f"{taken} steps in all" in repr(curve)
    assert on_board[-1].done <= taken <= on_board[-1].total and on_board[-1].unit == "steps"
    if stops_after is None:
        assert taken <= on_board[-1].total <= MOST_STEPS  # the last step is what shows that it is the last
    else:
        assert not curve.rounds and "first round" in f"{curve.reason} {curve.limit}"
