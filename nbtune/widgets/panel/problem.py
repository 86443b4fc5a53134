"""An error in the words a widget shows: what happened, where, and the traceback behind it."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from ... import engine
from ...engine.errors import text_of

_ENGINE = str(Path(engine.__file__).parent)
_PACKAGE = str(Path(engine.__file__).parent.parent)
_LIBRARIES = (_PACKAGE, *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")), "<")


LONGEST = 600
"""Of a message in the box: some raise the whole input."""

LONGEST_TRACE = 60_000


def problem_of(error: BaseException, title: str) -> dict[str, str]:
    """What the panel's problem box shows.

    Args:
        error: As raised, with its traceback.
        title: For an error of the user's code. One that nbtune's engine raises says itself what is wrong, and the
            widget does not guess at causes.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(_PACKAGE)]
    own_words = isinstance(error, (ValueError, TypeError, RuntimeError))
    if frames and own_words and frames[-1].filename.startswith(_ENGINE):
        cause = error.__cause__
        title, text = str(error), "" if cause is None else quoted(cause)
    elif own and _layer(own[-1].filename) in ("widgets", "plots"):
        title, text = "nbtune could not draw this run", quoted(error)
    else:
        text = quoted(error)
    return {
        "title": title,
        "text": text,
        "where": _where(error, frames),
        "traceback": _shortened("".join(traceback.format_exception(error))),
    }


def quoted(error: BaseException) -> str:
    """``RuntimeError: its message``."""
    text = text_of(error)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST].rstrip()} … (the whole of it is in the traceback)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shortened(trace: str) -> str:
    """As much as a page bears: its beginning and its end."""
    if len(trace) <= LONGEST_TRACE:
        return trace
    half = LONGEST_TRACE // 2
    return f"{trace[:half]}\n[… {len(trace) - 2 * half} characters …]\n{trace[-half:]}"


def _layer(filename: str) -> str:
    """Which folder of nbtune a file of its own belongs to."""
    return Path(filename).relative_to(_PACKAGE).parts[0]


def _where(error: BaseException, frames: traceback.StackSummary) -> str:
    """The last line of the user's own, and what the engine noted about the batch."""
    own = [f for f in frames if not f.filename.startswith(_LIBRARIES)]
    place = [f"Raised in {own[-1].name}, {_place(own[-1].filename)}, line {own[-1].lineno}."] if own else []
    notes = [n.removeprefix("nbtune: ") for n in getattr(error, "__notes__", []) if n.startswith("nbtune: ")]
    return " ".join([*place, *(f"{note[:1].upper()}{note[1:]}." for note in notes)])


def _place(filename: str) -> str:
    """A cell by its number, as IPython's tracebacks name it; any other file by its name."""
    try:
        from IPython import get_ipython
    except ImportError:
        return Path(filename).name
    shell = get_ipython()  # type: ignore[no-untyped-call]
    cell = None if shell is None else shell.compile.format_code_name(filename)
    return " ".join(cell).lower().replace("in[", "In[") if cell else Path(filename).name
