"""The kernel's side of the JupyterLab extension: says over a comm, once a second, what the memory and the jobs are.

``import nbtune`` in a kernel opens a comm, says hello over it once, and stays silent. Whoever comes later finds its id
by asking the kernel for the comms of the target ``TARGET``, and sends ``{"kind": "watch"}``; from then on one thread
sends a status a second to everybody who listens, also while a cell blocks, until all who watch have said
``{"kind": "leave"}``. While nothing runs and nothing changes it is silent: Jupyter takes every message for activity,
and would never cull an idle kernel.
Standard library alone; of torch it asks only what torch already knows.
"""

from __future__ import annotations

import atexit
import keyword
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from .host_memory import host_memory
from .jobs import BOARD, Board, Finding, Forecast, Job

TARGET = "nbtune.monitor"
SCHEMA = 1
PERIOD_SECONDS = 1.0
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.2, 60.0
_TASKS_NAMED = 4
_LONGEST_NAME = 80
# A page that is reloaded cannot say goodbye; of those that never did, the oldest are forgotten.
_WATCHERS_KEPT = 16
# What must change in an idle kernel to be worth a message: its own memory by this much, or that this share is crossed,
# from which on views.ts warns.
# What others hold changes all the time, and two idle kernels would keep each other talking.
_OWN_CHANGE_BYTES, _NEARLY_FULL = 2**20, 0.9


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
            "devices": devices, "forecast": _plain_forecast(self.board.forecast, devices, names),
            "jobs": [_plain_job(job) for job in self.board.jobs],
            "results": [_plain_finding(finding, names) for finding in self.board.findings],
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
            if before is None or self._is_busy() or _is_news(message, before):
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
        devices = [*host, *_gpus()]
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
        return {id(value): name for name, value in reversed(named) if _is_name(name)}


def _is_news(message: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether an idle kernel should say it."""
    if message.get("jobs"):
        return True
    volatile = {"sequence", "devices", "forecast"}  # a forecast moves with the device it is of
    if any(message[key] != before.get(key) for key in message.keys() - volatile):
        return True
    known = {device["name"]: device for device in before.get("devices", ())}
    return any(_has_changed(device, known.get(device["name"])) for device in message.get("devices", ()))


def _has_changed(device: dict[str, Any], before: dict[str, Any] | None) -> bool:
    if before is None or before["limit_bytes"] != device["limit_bytes"]:
        return True
    own = max(abs(device[name] - before[name]) for name in ("now_bytes", "peak_bytes"))
    return bool(own >= _OWN_CHANGE_BYTES) or _is_nearly_full(device) != _is_nearly_full(before)


def _is_nearly_full(device: dict[str, Any]) -> bool:
    return bool(device["now_bytes"] + device["others_bytes"] >= _NEARLY_FULL * device["limit_bytes"])


def announce() -> None:
    """Let browsers find this kernel: open the comm. Does nothing outside a kernel, or when it is done."""
    kernels = sys.modules.get("ipykernel.kernelbase")
    if kernels is None or not kernels.Kernel.initialized():
        return
    import comm

    manager, kernel = comm.get_comm_manager(), kernels.Kernel.instance()
    known = [channel for channel in list(manager.comms.values()) if getattr(channel, "target_name", "") == TARGET]
    before = getattr(getattr(known[0], "receive", None), "__self__", None) if known else None
    if before is not None and before.board is BOARD:
        return
    parent = kernel.get_parent()
    is_cell = parent.get("header", {}).get("msg_type") == "execute_request" and not parent["content"].get("silent")
    channel: Any = known[0] if known else _channel(comm, kernel)
    cell = _Cell(is_cell)
    monitor = Monitor(
        channel.publish, namespace=lambda: getattr(kernel.shell, "user_ns", {}), is_busy=lambda: cell.is_running
    )
    kernel.shell.events.register("pre_run_cell", cell.begin)
    kernel.shell.events.register("post_run_cell", cell.end)
    if before is not None:  # nbtune was thrown out of sys.modules and imported anew: those who watched go on
        watchers, period_seconds = list(before._watchers), before._period_seconds
        before.close()
        for watcher in watchers:
            monitor.watch(watcher, period_seconds)
    channel.receive = monitor.handle
    BOARD.here = lambda: str(kernel.get_parent().get("metadata", {}).get("cellId") or "")
    manager.register_comm(channel)
    # "Run all" keeps the kernel's ear for messages busy: whoever looks can know without asking.
    channel.publish({"kind": "nbtune.hello", "schema": SCHEMA})
    # A thread that sends while the process ends can leave half a message behind.
    atexit.register(monitor.close)


class _Cell:
    """Whether a cell is running."""

    def __init__(self, is_running: bool) -> None:
        self.is_running = is_running

    def begin(self, info: Any) -> None:
        self.is_running = True

    def end(self, result: Any) -> None:
        self.is_running = False


def _channel(comm: Any, kernel: Any) -> Any:
    """The comm. Other than those of widgets it is open from the start, and its messages belong to no cell."""

    class Channel(comm.base_comm.BaseComm):  # type: ignore[misc]  # comm is imported by whoever calls
        receive: Callable[[Any], None]

        def publish(self, data: dict[str, Any]) -> None:
            self.publish_msg("comm_msg", data)

        def publish_msg(
            self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
        ) -> None:
            content = {"data": data or {}, "comm_id": self.comm_id, **keys}
            kernel.session.send(
                kernel.iopub_socket, msg_type, content, parent={}, ident=self.topic, metadata=metadata, buffers=buffers
            )

        def handle_msg(self, msg: Any) -> None:
            # Not the base's, which tells IPython that a cell begins and ends: a watcher is no cell.
            self.receive(msg["content"]["data"])

        def handle_close(self, msg: Any) -> None:
            comm.get_comm_manager().register_comm(self)  # a page closed it for all; the next one shall find it

    return Channel(target_name=TARGET, primary=False)


def _gpus() -> list[dict[str, Any]]:
    """The GPUs this process already uses. Asking about another one would create a context on it."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not hasattr(cuda, "is_initialized") or not cuda.is_initialized():
        return []
    used = [i for i in range(cuda.device_count()) if cuda.memory_reserved(i) or cuda.max_memory_reserved(i)]
    return [_gpu(cuda, index) for index in used]


def _gpu(cuda: Any, index: int) -> dict[str, Any]:
    free_bytes, limit_bytes = cuda.mem_get_info(index)
    now_bytes = cuda.memory_reserved(index)
    return {
        "name": f"cuda:{index}", "title": cuda.get_device_name(index), "place": "gpu", "limit_bytes": limit_bytes,
        "now_bytes": now_bytes, "peak_bytes": max(now_bytes, cuda.max_memory_reserved(index)),
        # This process's CUDA context is among the others: nobody but NVML could tell it apart.
        "others_bytes": max(0, limit_bytes - free_bytes - now_bytes),
    }  # fmt: skip


def _plain_job(job: Job) -> dict[str, Any]:
    progress, seconds_left = job.progress, job.seconds_left
    return {
        "id": job.id, "tool": job.tool, "detail": job.detail, "is_stopping": job.is_stopping,
        "is_blocking": job.is_blocking, "widget": job.widget, "done": progress.done, "total": progress.total,
        "unit": progress.unit, "share": progress.share,
        "seconds_left": None if seconds_left is None else round(seconds_left, 2),
    }  # fmt: skip


def _plain_finding(finding: Finding, names: dict[int, str]) -> dict[str, Any]:
    return {
        "id": finding.id, "tool": finding.tool, "lr": finding.lr, "batch_size": finding.batch_size,
        "detail": finding.detail, "model": finding.model, "widget": finding.widget, "cell": finding.cell,
        "code": finding.code(names.get(id(finding.task()), "task")),
    }  # fmt: skip


def _plain_forecast(
    forecast: Forecast | None, devices: list[dict[str, Any]], names: dict[int, str]
) -> dict[str, Any] | None:
    """Where the next batch size would end now; None where that is not known, or below what is held anyway."""
    device = next((known for known in devices if forecast is not None and known["name"] == forecast.device), None)
    if forecast is None or device is None or (task := forecast.task()) is None:
        return None
    # What the process holds beyond all it held then came since, and stays while the next batch size trains.
    next_bytes = forecast.next_bytes + max(0, device["now_bytes"] - forecast.held_bytes)
    if next_bytes <= device["now_bytes"]:
        return None
    has_room = next_bytes + device["others_bytes"] <= device["limit_bytes"]
    name, size = names.get(id(task), "task"), forecast.batch_size
    return {
        "device": forecast.device, "batch_size": size, "has_run": forecast.has_run,
        "next_batch_size": forecast.next_batch_size, "next_bytes": next_bytes,
        "does_fit": forecast.does_fit and has_room,
        "code": "" if size is None else Finding(tool="batch_size", batch_size=size).code(name),
    }  # fmt: skip


def _is_name(name: Any) -> bool:
    """Whether it may stand in a line of code; the notebook's dict of variables takes any text.

    The browser checks it again, by a rule of its own: a name it does not take would cost it the whole message.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        return False
    return name[0].isalpha() and name.replace("_", "").isalnum() and len(name) <= _LONGEST_NAME
