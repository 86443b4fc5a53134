"""Where the monitor meets the kernel it runs in: its comm, its cells, its variables."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from typing import Any

from ..jobs import BOARD
from .monitor import SCHEMA, Monitor

TARGET = "nbtune.monitor"


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
        monitor.take_over(before)
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
