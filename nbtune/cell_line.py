"""A line of text in a notebook's cell that changes in place and goes away without a trace.

Standard library alone; IPython is asked only where a notebook has loaded it.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["CellLine"]


class CellLine:
    """A file for progress bars: what is written last stands in the cell that is running.

    On stderr a bar that clears itself leaves an empty output behind, on the red ground of errors, also in the saved
    notebook. This line is an output that is updated, at last with nothing, which takes no room.

    Examples:
        >>> CellLine.here() is None  # no notebook
        True
    """

    encoding = "utf-8"  # tqdm asks for it, and draws with ### where a file has none

    def __init__(self) -> None:
        self._handle: Any = None

    @classmethod
    def here(cls) -> CellLine | None:
        """One for the cell that is running; None outside of notebooks, as in a terminal."""
        shell = None
        if "IPython" in sys.modules:
            from IPython import get_ipython

            shell = get_ipython()  # type: ignore[no-untyped-call]
        return None if getattr(shell, "kernel", None) is None else cls()

    def write(self, text: str) -> None:
        """Show the text in place of the one before; the control characters of terminals are left out."""
        line = text.replace("\r", "").replace("\x1b[A", "").strip()
        if line:
            self._show({"text/plain": line})

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Take the line away."""
        if self._handle is not None:
            self._show({})

    def _show(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)
