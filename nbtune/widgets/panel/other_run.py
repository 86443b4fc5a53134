"""A run of somebody else's on the model of a panel, which may not start meanwhile."""

from __future__ import annotations

import threading

from ...formats import format_remaining
from ...jobs import BOARD, Job
from .view import IS_RUNNING, Face, Sentence, View

LOOK_SECONDS = 1.0
"""Between two looks at it. Words that change faster can neither be read nor heard."""

_RUNS = {
    "learning_rate": "a search for a learning rate",
    "batch_size": "a search for a batch size",
    "comparison": "a comparison of batch sizes",
}
UNKNOWN: Sentence = [
    ["Not started:", "strong"],
    [" another run is using this model. Press Start when it has ended.", ""],
]


class OtherRun:
    """Shows it on the panel, with its Stop, for as long as it goes on.

    A cell that is run again makes a second widget on the same model, while the first one's run, whose output the cell
    has just replaced, goes on. It is not ended, since nobody asked for that and another cell may await it: it is shown,
    and can be stopped, where the reader now looks.

    Args:
        view: Of the panel.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._job: Job | None = None
        self._lock = threading.Lock()

    @property
    def _face(self) -> Face:
        return self._view.face

    def look(self) -> bool:
        """Whether there is one on the panel's model, which is then shown until it has ended."""
        task = self._face.task
        job = None if task is None else BOARD.job_on(task, but=self._face.widget_id)
        if job is None:
            return False
        with self._lock:
            is_news, self._job = self._job is None, job
        self._draw(job)
        if is_news:
            threading.Thread(target=self._follow, args=(job,), name="nbtune-other-run", daemon=True).start()
        return True

    def stop(self) -> None:
        """Ask it to end, if one is shown."""
        job = self._job
        if job is not None:
            BOARD.stop(job.id)
            self._draw(job)

    def _follow(self, job: Job) -> None:
        while not job.has_ended.wait(LOOK_SECONDS) and not self._face.is_closed:
            self._draw(job)
        with self._lock:
            self._job = None
        if not self._face.is_closed and not self.look():
            self._draw_end(job)

    def _draw(self, job: Job) -> None:
        with self._view.drawing():
            if self._face.state not in IS_RUNNING and not job.has_ended.is_set():
                self._face.other_run = {"is_stopping": job.is_stopping}
                self._face.sentence = [["Another run is using this model:", "strong"], [f" {_words(job)}", ""]]
                self._draw_bar(job.progress.share or 0.0, "running")

    def _draw_end(self, job: Job) -> None:
        found = next((f for f in BOARD.findings if f.job == job.id), None)
        lr, k = ("", None) if found is None else (found.lr, found.batch_size)
        parts = [*([f"η = {lr}"] if lr else []), *([] if k is None else [f"k = {k}"])]
        said = f" It found {' at '.join(parts)}." if parts else ""
        with self._view.drawing():
            if self._face.other_run is not None:
                self._face.other_run = self._face.problem = None
                self._face.sentence = [["The other run has ended.", "strong"], [f"{said} Press Start for another.", ""]]
                self._draw_bar(0.0, "done")

    def _draw_bar(self, fraction: float, kind: str) -> None:
        if self._face.progress:  # else its plot is the tool's progress
            self._face.progress = {"fraction": fraction, "text": "", "short": "", "kind": kind}


def _words(job: Job) -> str:
    if job.is_stopping:
        return f"{_RUNS[job.tool]}, which is stopping. Start is here again when everything is put back."
    progress, left = job.progress, job.seconds_left
    amount = ""
    if progress.unit and progress.done:
        of = "" if progress.total is None else f" of {progress.total}"
        amount = f", {progress.done}{of} {progress.unit}"
    elif progress.share is not None:
        amount = f", {progress.share:.0%}"
    time = "" if left is None else f", {format_remaining(left)}"
    return f"{_RUNS[job.tool]}{amount}{time}. Stop ends it; what it finds stays with the widget that began it."
