"""A run without a front end: its bar, its place on the board, and how the board ends it."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

import pytest
import tqdm

from nbtune.engine.headless import Headless, carried_out
from nbtune.engine.run import GeneratorRun
from nbtune.jobs import BOARD, Finding, Progress


class Counting(GeneratorRun[int | str]):
    """Counts to ``end`` with a word before each number; ``react`` is called in each step."""

    def __init__(self, end: int, react: Callable[[int], Any] = lambda number: None) -> None:
        self.end, self.react, self.hurried, self.is_put_back = end, react, 0, False
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        return "a number"

    def hurry(self) -> None:
        self.hurried += 1

    def _events(self) -> Generator[int | str, None, None]:
        try:
            for number in range(self.end):
                self.react(number)
                yield "a number comes"
                yield number
        finally:
            self.is_put_back = True


def call_of(run: Counting, progress: Callable[[Sequence[int]], Progress] = lambda seen: Progress()) -> Headless[Any]:
    return Headless(
        run=run, tool="learning_rate", detail="counting", name="numbers", unit="number",
        is_counted=lambda event: isinstance(event, int),
        progress=progress, text=lambda number: f"at {number}", fold=lambda events, is_stopped: (events, is_stopped),
        found=lambda result: (Finding(tool="learning_rate", lr=str(len(result[0]))), None),
    )  # fmt: skip


def test_all_events_are_folded_and_the_counted_ones_make_the_progress_on_the_board() -> None:
    seen: list[Any] = []
    run = Counting(3, lambda number: seen.extend((job.tool, job.detail, job.progress.done) for job in BOARD.jobs))
    events, is_stopped = carried_out(call_of(run, lambda seen: Progress(len(seen))), shows_bar=False)
    assert events == ["a number comes", 0, "a number comes", 1, "a number comes", 2] and not is_stopped
    assert seen == [("learning_rate", "counting", done) for done in range(3)]
    assert BOARD.jobs == () and BOARD.findings[0].lr == "6" and run.is_put_back


def test_a_stop_on_the_board_hurries_the_run_and_ends_it_with_what_there_is() -> None:
    run = Counting(10, lambda number: number == 2 and BOARD.stop(BOARD.jobs[0].id))
    events, is_stopped = carried_out(call_of(run), shows_bar=False)
    assert is_stopped and events[-1] == "a number comes" and len(events) == 5
    assert run.hurried == 1 and run.is_put_back


def test_an_error_takes_it_off_the_board_with_everything_put_back() -> None:
    run = Counting(10, lambda number: 1 // (2 - number))
    with pytest.raises(ZeroDivisionError):
        carried_out(call_of(run), shows_bar=False)
    assert BOARD.jobs == () and run.is_put_back


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (lambda seen: Progress(len(seen), 4, "numbers", len(seen) / 4), "numbers: 100%"),
        (lambda seen: Progress(share=len(seen) / 4), "numbers: 100%"),
        (lambda seen: Progress(len(seen)), "numbers: 4number"),
    ],
)
def test_the_bar_goes_to_a_total_or_a_share_or_counts(
    progress: Any, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tqdm, "tqdm", partial(tqdm.tqdm, mininterval=0))
    carried_out(call_of(Counting(4), progress), shows_bar=True)
    told = capsys.readouterr()
    assert told.out == "" and shown in told.err and "at 3" in told.err
    assert told.err.endswith("\r")  # and away again


def test_without_tqdm_there_is_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def absent(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "tqdm":
            raise ImportError(name)
        return there(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    events, _ = carried_out(call_of(Counting(2)), shows_bar=True)
    assert len(events) == 4 and capsys.readouterr().err == ""
