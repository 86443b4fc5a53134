"""A run without a front end: its bar, its place on the board, and how the board ends it."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import tqdm
from driver import PATIENCE_SECONDS
from tasks import plain_task

from nbtune.engine import headless, waits
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


class Line:
    """Where a bar is written in a notebook; what comes after its end is marked."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.written: list[str] = []
        self.on_write: Callable[[str], None] = lambda text: None
        self.is_closed = False

    def write(self, text: str) -> None:
        if text.strip():
            self.on_write(text)
            self.written.append(f"late: {text}" if self.is_closed else text)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    made = Line()
    monkeypatch.setattr(headless.CellLine, "here", lambda: made)
    monkeypatch.setattr(headless, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(tqdm, "tqdm", partial(tqdm.tqdm, mininterval=0))
    for name in ("FIRST_SECONDS", "LONG_SECONDS"):
        monkeypatch.setattr(waits, name, 0.0)
    return made


def test_nothing_is_written_after_the_bar_was_taken_away(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that tells of a wait has looked whether there is a bar, and not yet drawn it, when the run ends."""
    has_looked, may_draw = threading.Event(), threading.Event()
    watching: list[threading.Thread] = []

    class Bar(tqdm.std.tqdm):  # type: ignore[type-arg]
        def refresh(self, *arguments: Any, **named: Any) -> None:
            if threading.current_thread() is not threading.main_thread() and not self.disable:
                watching.append(threading.current_thread())
                has_looked.set()
                assert may_draw.wait(PATIENCE_SECONDS)
                self.display()
            else:
                super().refresh(*arguments, **named)

    class Joined(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            may_draw.set()
            super().join(timeout)

    def wait(number: int) -> None:
        with run.waits.drawing():
            assert has_looked.wait(PATIENCE_SECONDS)

    run = Counting(1, wait)
    monkeypatch.setattr(headless.threading, "Thread", Joined)
    monkeypatch.setattr(tqdm, "tqdm", partial(Bar, mininterval=0))
    carried_out(call_of(run), shows_bar=True)
    may_draw.set()
    watching[0].join(PATIENCE_SECONDS)
    assert line.is_closed and line.written and not any(text.startswith("late") for text in line.written)


@pytest.mark.parametrize("text", ["", "at last"])
def test_a_wait_that_is_over_is_told_no_more(line: Line, text: str) -> None:
    """Also where the next event has nothing to say beside the bar."""
    is_told = threading.Event()
    line.on_write = lambda written: is_told.set() if "waiting for the data" in written else None

    def wait(number: int) -> None:
        if number == 1:
            with run.waits.drawing():
                assert is_told.wait(PATIENCE_SECONDS)

    run = Counting(3, wait)
    carried_out(replace(call_of(run), text=lambda number: text), shows_bar=True)
    bars = [written for written in line.written if "number" in written]
    assert any("waiting for the data" in bar for bar in bars) and "waiting" not in bars[-1] and text in bars[-1]


def test_a_call_is_on_the_board_with_its_task_from_the_first_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    task = plain_task()
    seen: list[Any] = []
    monkeypatch.setattr(BOARD, "on_change", lambda: seen.append(BOARD.job_on(task)))
    carried_out(replace(call_of(Counting(1)), task=task), shows_bar=False)
    assert [job is not None for job in seen] == [True, False]


def test_without_tqdm_there_is_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def absent(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "tqdm":
            raise ImportError(name)
        return there(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    events, _ = carried_out(call_of(Counting(2)), shows_bar=True)
    assert len(events) == 4 and capsys.readouterr().err == ""
