"""The thread that sends a status once a second to all who watch."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ..host_memory import host_memory
from ..jobs import BOARD, Board
from .news import is_news
from .plain import gpus, is_name, plain_finding, plain_forecast, plain_job

SCHEMA = 1
PERIOD_SECONDS = 1.0
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.2, 60.0
_TASKS_NAMED = 4
# A page that is reloaded cannot say goodbye; of those that never did, the oldest are forgotten.
_WATCHERS_KEPT = 16


class Monitor:
    """Sends a status in a steady rhythm for as long as somebody watches and there is something to say.

    Args:
        send: Takes one JSON object to every browser; called from the monitor's thread.
        namespace: Gives the notebook's variables.
        is_busy: Whether a cell is running; if so, every status is sent.
        board: Where jobs and results are listed.

    Attributes:
        board: As given.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        *,
        namespace: Callable[[], dict[str, Any]] = dict,
        is_busy: Callable[[], bool] = lambda: False,
        board: Board = BOARD,
    ) -> None:
        self._send, self._namespace, self._is_busy, self.board = send, namespace, is_busy, board
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._watchers: list[str] = []
        self._sent: dict[str, Any] | None = None
        self._period_seconds = PERIOD_SECONDS
        self._thread: threading.Thread | None = None
        self._sequence = 0
        self._device_peaks: dict[str, int] = {}
        board.on_change = self._wake.set

    @property
    def is_watched(self) -> bool:
        """Whether statuses are sent."""
        return bool(self._watchers)

    def handle(self, message: Any) -> None:
        """Do what the browser asks for: "watch", "leave" or "stop". Anything else is ignored."""
        if not isinstance(message, dict) or message.get("schema") != SCHEMA:
            return
        kind = message.get("kind")
        if kind == "watch":
            self.watch(str(message.get("watcher", "")), message.get("period_seconds", PERIOD_SECONDS))
        elif kind == "leave":
            self.leave(str(message.get("watcher", "")))
        elif kind == "stop":
            self.board.stop(str(message.get("job", "")))

    def watch(self, watcher: str, period_seconds: Any = PERIOD_SECONDS) -> None:
        """Send a status now and then one every ``period_seconds`` (0.2 to 60)."""
        is_number = isinstance(period_seconds, int | float) and period_seconds == period_seconds
        period_seconds = period_seconds if is_number else PERIOD_SECONDS
        with self._lock:
            self._watchers = [*(known for known in self._watchers if known != watcher), watcher][-_WATCHERS_KEPT:]
            self._sent = None  # a page that has just come knows nothing
            self._period_seconds = float(min(max(period_seconds, _SHORTEST_SECONDS), _LONGEST_SECONDS))
            self._wake.set()  # not after the start: a thread that has just said something would say it again
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="nbtune-monitor", daemon=True)
                self._thread.start()

    def leave(self, watcher: str) -> None:
        """Forget a watcher; without any the thread ends."""
        with self._lock:
            self._watchers = [known for known in self._watchers if known != watcher]
        self._wake.set()

    def take_over(self, before: Monitor) -> None:
        """Send from now on to those who watched another one, which ends; it may be of a module that was thrown out."""
        watchers, period_seconds = list(before._watchers), before._period_seconds
        before.close()
        for watcher in watchers:
            self.watch(watcher, period_seconds)

    def close(self, timeout: float = 1.0) -> None:
        """Send nothing more, and wait for the thread's end.

        Args:
            timeout: Seconds to wait at most.
        """
        with self._lock:
            self._watchers, thread = [], self._thread
        self._wake.set()
        if thread is not None:
            thread.join(timeout)

    def status(self) -> dict[str, Any]:
        """What there is to say now, as plain JSON."""
        self._sequence += 1
        names = self._names()
        devices = self._devices()
        return {
            "kind": "nbtune.status", "schema": SCHEMA, "sequence": self._sequence,
            "period_seconds": self._period_seconds,
            "devices": devices, "forecast": plain_forecast(self.board.forecast, devices, names),
            "jobs": [plain_job(job) for job in self.board.jobs],
            "results": [plain_finding(finding, names) for finding in self.board.findings],
            "tasks": list(names.values())[:_TASKS_NAMED],
        }  # fmt: skip

    def _run(self) -> None:
        while True:
            self._wake.clear()
            with self._lock:
                if not self._watchers:
                    self._thread = None
                    return
                before = self._sent
            message = self._status_or_trouble()
            if before is None or self._is_busy() or is_news(message, before):
                self._sent = message
                try:
                    self._send(message)
                except Exception:  # the kernel is going away, and nobody would see it said
                    self._thread = None
                    return
            # Not sooner than this, however often something changes.
            time.sleep(_SHORTEST_SECONDS)
            self._wake.wait(self._period_seconds - _SHORTEST_SECONDS)

    def _status_or_trouble(self) -> dict[str, Any]:
        try:
            return self.status()
        except Exception as error:  # a thread's error would only be printed into some cell
            return {"kind": "nbtune.trouble", "schema": SCHEMA, "text": f"{type(error).__name__}: {error}"}

    def _devices(self) -> list[dict[str, Any]]:
        memory = host_memory()
        host = [] if memory is None else [{"name": "host", "title": "", **asdict(memory)}]
        devices = [*host, *gpus()]
        for device in devices:
            # A peak that a tool has reset is still a peak.
            peak = max(device["peak_bytes"], self._device_peaks.get(device["name"], 0))
            self._device_peaks[device["name"]] = device["peak_bytes"] = peak
        return devices

    def _names(self) -> dict[int, str]:
        """Of the notebook's tasks: their names by their ids, the latest first."""
        engine = sys.modules.get("nbtune.engine")
        task_type = getattr(engine, "Task", None)
        if task_type is None:
            return {}
        named = [(name, value) for name, value in list(self._namespace().items()) if type(value) is task_type]
        return {id(value): name for name, value in reversed(named) if is_name(name)}
