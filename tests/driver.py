"""Widgets without a browser: the messages it would send are given by hand, and what it would draw is read."""

from __future__ import annotations

import pickle
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from tasks import blobs, plain_task
from torch.nn import functional

from nbtune.engine import Task
from nbtune.plots.base import picture, sentence
from nbtune.plots.base.marks import Part

PATIENCE_SECONDS = 120
"""Before a wait that should have ended long ago fails. Only a failing test waits so long: nothing is measured by it."""

W = TypeVar("W", bound=Any)


def click(widget: W, action: str, **content: Any) -> W:
    """Send what a press of a button sends."""
    widget._handle_custom_msg({"type": action, **content}, [])
    return widget


def ended(widget: W) -> W:
    """Wait for the end of its run."""
    assert session_of(widget) is not None and session_of(widget).wait(PATIENCE_SECONDS)
    return widget


def done(widget: W, **values: str) -> W:
    """Start it, and wait for an end without an error."""
    assert ended(click(widget, "start", **({"values": values} if values else {}))).state == "done", widget.error
    return widget


def promise_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the picture that ends every run, which takes longer to draw than a run of these.

    What it shows is made all the same, and another state is another picture; only matplotlib does not draw it.
    """

    def promised(parts: Iterable[Part], height: int) -> bytes:
        size = struct.pack(">II", 2 * picture.WIDTH, 2 * height)
        return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + struct.pack(">I", zlib.crc32(pickle.dumps(list(parts))))

    monkeypatch.setattr(sentence, "png_of", promised)


# What no user has to read: this is the one place that knows where it is kept.


def session_of(widget: Any) -> Any:
    """Of the run under way or last ended, another one for each run; None before the first."""
    return widget._session


def is_picture_kept(widget: Any) -> bool:
    """Whether the picture in the saved notebook is that of what it shows."""
    return bool(widget._view.is_kept)


def saved(widget: Any) -> dict[str, Any]:
    """The picture and the sentence in the saved notebook."""
    return dict(widget._view._displays._picture)


def output_of(widget: Any) -> list[dict[str, Any]]:
    """What a cell that shows it is told to show instead, each time."""
    shown: list[dict[str, Any]] = []

    class Handle:
        def update(self, bundle: dict[str, Any], **_: Any) -> None:
            shown.append(bundle)

    widget._view._displays._handles.append(Handle())
    return shown


def planned(widget: Any) -> Any:
    """The settings of a comparison that Start would run."""
    return widget._planned()[0]


def said(widget: Any) -> str:
    """Its sentence."""
    return "".join(text for text, _ in widget.sentence)


def fields(widget: Any) -> dict[str, Any]:
    """Its settings' fields by name."""
    return {field["name"]: field for field in widget.fields}


def drawn(plot: Any, source: str, column: str = "x") -> list[Any]:
    """A column of what a plot shows."""
    values = {**plot.data["columns"], **plot.since.get("columns", {})}[source][column]
    return np.frombuffer(values).tolist() if isinstance(values, bytes) else list(values)


def at_step(number: int, react: Callable[[], Any], **changes: Any) -> Task:
    """A task that calls ``react`` in its n-th training step."""
    steps: list[int] = []

    def training_step(model: Any, batch: Any) -> torch.Tensor:
        steps.append(1)
        if len(steps) == number:
            react()
        return functional.cross_entropy(model(batch[0]), batch[1])

    return plain_task(loss_fn=None, training_step=training_step, **changes)


def task_that_hangs(react: Callable[[], Any]) -> Task:
    """A task whose data are drawn one by one, and whose 60th sample calls ``react``."""
    inputs, targets = blobs()

    class Hanging:
        def __len__(self) -> int:
            return len(inputs)

        def __getitem__(self, index: int) -> Any:
            if index == 60:
                react()
            return inputs[index], targets[index]

    return plain_task(data=Hanging())


def wait_for(is_true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + seconds
    while not is_true() and time.monotonic() < end:
        time.sleep(0.01)
    return is_true()


class Gate:
    """Holds a run at one step until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        self.opened.wait(PATIENCE_SECONDS)
