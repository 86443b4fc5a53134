"""A run carried out without a front end: listed on the board, with a progress bar in text, and folded at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..cell_line import CellLine
from ..jobs import Finding, Forecast, Progress, Tool, listed
from . import waits
from .interrupts import Interrupted, held_back
from .run import Run
from .waits import Waits

Result = TypeVar("Result")

TICKS = 1000
"""Of a bar that shows a share of the work."""

_LOOK_SECONDS = 1.0
"""Between two looks at a run that does not move."""

SHARE_FORMAT = "{l_bar}{bar}| {elapsed}{postfix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headless(Generic[Result]):
    """What a tool brings to a call.

    Attributes:
        run: Not yet begun.
        tool, detail, max_seconds: As in ``jobs.Job``.
        task: What is trained.
        name, unit: Of the bar, and of what it counts.
        is_counted: Whether the bar moves by an event, and progress is made of it.
        progress: How far it is after these of the counted events. Where it knows a total, the bar goes to it; else,
            where it knows a share, by that; else it counts.
        text: How a counted event reads beside the bar, "" for nothing; called only when the bar is drawn again.
        fold: The result of these events, and whether somebody asked to stop.
        found: What the result says on the board.
    """

    run: Run[Any]
    tool: Tool
    task: Any = None
    detail: str
    max_seconds: float | None = None
    name: str
    unit: str = ""
    is_counted: Callable[[Any], bool]
    progress: Callable[[Sequence[Any]], Progress]
    text: Callable[[Any], str]
    fold: Callable[[list[Any], bool], Result]
    found: Callable[[Result], tuple[Finding | None, Forecast | None]]


def carried_out(call: Headless[Result], *, shows_bar: bool) -> Result:
    """Take a run's events to its end, or until the board asks to stop.

    Args:
        call: What is carried out; its run is closed in any case.
        shows_bar: Whether a bar is drawn (in a notebook as a line of the cell's output, else on stderr; it needs tqdm).
    Returns:
        The result, of a stopped run too.
    Raises:
        KeyboardInterrupt: When interrupted, with everything put back; its ``result`` is what was known by then.
        Exception: Whatever the run raises.
    """
    events: list[Any] = []
    try:
        return _carried_out(call, events, shows_bar)
    except KeyboardInterrupt:
        error = _interrupted(call, events)
    raise error  # not inside the except block, which would show that one too, with all its frames


def _interrupted(call: Headless[Any], events: list[Any]) -> Interrupted:
    try:
        result = call.fold(events, True) if events else None
    except Exception:  # too little to be told
        result = None
    known = "" if result is None else f" By then: {str(result).splitlines()[0]}, kept in sys.last_value.result."
    return Interrupted(f"everything is put back.{known}", result)


def _carried_out(call: Headless[Result], events: list[Any], shows_bar: bool) -> Result:
    counted: list[Any] = []
    what = {"task": call.task, "max_seconds": call.max_seconds, "hurry": call.run.hurry}
    with held_back(), listed(call.tool, call.detail, **what) as job:
        with closing(call.run), _bar(call, shows_bar) as show:
            for event in call.run:
                events.append(event)
                if call.is_counted(event):
                    counted.append(event)
                    job.now = call.progress(counted)
                    show(job.now, counted)
                if job.is_stopped:
                    break
        result = call.fold(events, job.is_stopped)
        job.found(*call.found(result))
    return result


@contextmanager
def _bar(call: Headless[Any], is_wanted: bool) -> Iterator[Callable[[Progress, list[Any]], None]]:
    try:
        from tqdm import tqdm
    except ImportError:
        is_wanted = False
    if not is_wanted:
        yield lambda now, counted: None
        return
    begin = call.progress([])
    is_share = begin.total is None and begin.share is not None
    looks: dict[str, Any] = {"bar_format": SHARE_FORMAT} if is_share else {"unit": call.unit}
    total = TICKS if is_share else begin.total
    with _line() as line, tqdm(total=total, desc=call.name, leave=False, file=line, **looks) as bar:

        def show(now: Progress, counted: list[Any]) -> None:
            bar.total = TICKS if is_share else now.total
            place = int(TICKS * (now.share or 0)) if is_share else len(counted)
            # The text is only made when the bar is drawn again: it would cost more than a small step.
            if bar.update(place - bar.n):
                bar.set_postfix_str(call.text(counted[-1]))  # also an empty one: the wait that was told there is over

        with _watched(call.run.waits, bar.set_postfix_str):
            yield show


@contextmanager
def told_if_long() -> Iterator[None]:
    """Outside any run, a line says what a trace of the model is at, once it takes long, and goes away at the end."""
    if waits.is_in_run():
        yield
        return
    own = waits.Waits()
    with ExitStack() as shown, own.in_force():
        lines: list[Any] = []

        def say(text: str) -> None:
            if not lines:
                lines.append(shown.enter_context(_text_line()))
            lines[0](text)

        with _watched(own, say):
            yield


@contextmanager
def _text_line() -> Iterator[Callable[[str], None]]:
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda text: None
        return
    with _line() as line, tqdm(bar_format="{desc}", leave=False, file=line) as bar:
        yield bar.set_description_str


@contextmanager
def _watched(of_run: Waits, say: Callable[[str], None]) -> Iterator[None]:
    """``say`` is called by a thread of its own, once a second, while it takes long."""
    has_ended = threading.Event()

    def watch() -> None:
        while not has_ended.wait(_LOOK_SECONDS):
            wait = of_run.long
            if wait is not None:
                say(wait.text)

    watching = threading.Thread(target=watch, name="nbtune-bar", daemon=True)
    watching.start()
    try:
        yield
    finally:
        has_ended.set()
        watching.join()  # what it is saying must not come after the line was taken away


@contextmanager
def _line() -> Iterator[CellLine | None]:
    """What a bar is written to; None for stderr."""
    line = CellLine.here()
    try:
        yield line
    finally:
        if line is not None:
            line.close()
