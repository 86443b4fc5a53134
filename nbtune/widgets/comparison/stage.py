"""What the comparison's panel shows: curves, table and progress."""

from __future__ import annotations

from ...engine.comparison.result import Comparison
from ...engine.comparison.run import ComparisonRun
from ...plots.base.columns import View
from ...plots.comparison.figure import comparison_view
from ..panel.view import Face
from ..panel.word_pace import WordPace
from .table import caption_of, summary_table

# The part of the budget from which the length of an axis can be told.
_SHARE_BEFORE_ESTIMATE = 0.02


class Stage:
    """Draws on the comparison's panel.

    Args:
        face: The panel.
        comparison: What is shown at first.
    Attributes:
        comparison: What is shown.
        selected: The k that was clicked at, or None.
    """

    def __init__(self, face: Face, comparison: Comparison) -> None:
        self.face, self.comparison, self._pace = face, comparison, WordPace()
        self.selected: int | None = None
        self._drawn_as: tuple[str, bool, int | None] | None = None

    @property
    def shows_held_out(self) -> bool:
        """Whether the losses on held-out data are asked for."""
        return bool(self.face.values["held_out"])

    def draw(self, run: ComparisonRun | None = None) -> None:
        """Draw the curves and the table; ``run`` is the one under way, None where they are final."""
        comparison, axis, is_running = self.comparison, self.face.values["axis"], run is not None
        x_end = None if run is None else self._expected_end(axis, run.share_done)

        def draw(words: bool) -> dict[str, View]:
            return {
                "curves": comparison_view(
                    comparison, axis=axis, held_out=self.shows_held_out, selected=self.selected, running=is_running,
                    x_end=x_end, words=words,
                )
            }  # fmt: skip

        if not is_running or self._drawn_as != (axis, self.shows_held_out, self.selected):
            self._pace.restart()
        self._drawn_as = axis, self.shows_held_out, self.selected
        self.face.plots["curves"].update(self._pace.views(draw)["curves"])
        table = summary_table(comparison, self.selected, running=is_running)
        self.face.contents = {"summary": table, "lines": caption_of(comparison)}

    def progress(self, kind: str, run: ComparisonRun, *parts: str) -> None:
        """How far a run is, in a bar and in words."""
        text = " · ".join(part for part in parts if part)
        self.face.progress = {"fraction": run.share_done, "text": text, "short": parts[-1] or text, "kind": kind}

    def _expected_end(self, axis: str, share: float) -> float | None:
        """Of an axis that the budget does not bound, so that curves grow into known space."""
        name = "samples_seen" if axis == "samples" else axis
        ends = [getattr(curve, name)[-1] for curve in self.comparison.by_batch_size if curve.losses]
        return max(ends) / share if ends and share > _SHARE_BEFORE_ESTIMATE else None
