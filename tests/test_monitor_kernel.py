"""The monitor in a real kernel: what a page would see of it on the wire."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

from nbtune.monitor import SCHEMA, TARGET

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 120
QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # of Python's own frozen modules
Message = dict[str, Any]

TRAIN = """
import time, torch, nbtune
model = torch.nn.Linear(4, 2)
taken, is_held = [], True
def training_step(model, batch):
    taken.append(1)
    while is_held and len(taken) == 40 and not nbtune.jobs.BOARD.jobs[0].is_stopping:
        time.sleep(0.01)
    time.sleep(0.05)
    return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
data = torch.randn(64, 4), torch.randint(0, 2, (64,))
mine = nbtune.Task(model, torch.optim.SGD(model.parameters(), 0.1), data=data, training_step=training_step)
curve = nbtune.find_lr(mine, mode="quick", progress=False)
print(curve.outcome, len(curve.steps))
"""
THREADS = "import threading; print(sum(t.name == 'nbtune-monitor' for t in threading.enumerate()))"


class Kernel:
    """A kernel with one page that hears all it says."""

    def __init__(self, folder: Path) -> None:
        self.errors = folder / "stderr"
        self.heard: list[Message] = []
        self.manager = KernelManager(kernel_name="python3")
        with self.errors.open("wb") as errors:
            self.manager.start_kernel(stderr=errors, env={**os.environ, **QUIET})
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE_SECONDS)
        self.errors_at_start = self.errors.read_text()

    def send(self, kind: str, content: dict[str, Any], metadata: Any = None, subshell: str = "") -> str:
        message = self.client.session.msg(kind, content, metadata=metadata)
        if subshell:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def say(self, kind: str, subshell: str = "", **data: Any) -> str:
        content = {"comm_id": self.comm, "data": {"kind": kind, "schema": SCHEMA, **data}}
        return self.send("comm_msg", content, subshell=subshell)

    def listen_until(self, is_it: Callable[[Message], bool]) -> Message:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=PATIENCE_SECONDS)
            self.heard.append(message)
            if is_it(message):
                return message
        raise AssertionError(self.heard[-5:])

    def start(self, code: str, cell: str = "") -> str:
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        return self.send("execute_request", content, {"cellId": cell})

    def output_of(self, request: str) -> str:
        self.listen_until(lambda message: is_end_of(request, message))
        own = [message for message in self.heard if message["parent_header"].get("msg_id") == request]
        assert [message["content"] for message in own if message["msg_type"] == "error"] == []
        return "".join(message["content"]["text"] for message in own if message["msg_type"] == "stream").strip()

    def run(self, code: str) -> str:
        return self.output_of(self.start(code))

    @property
    def comms(self) -> list[str]:
        reply = self.client.comm_info(TARGET, reply=True, timeout=PATIENCE_SECONDS)
        return list(reply["content"]["comms"])

    @property
    def comm(self) -> str:
        (only,) = self.comms
        return only

    @property
    def statuses(self) -> list[Message]:
        return [message for message in self.heard if is_status(message)]

    def new_subshell(self) -> str:
        message = self.client.session.msg("create_subshell_request", {})
        self.client.control_channel.send(message)
        reply = self.client.get_control_msg(timeout=PATIENCE_SECONDS)
        if reply["content"].get("status") != "ok" or "subshell_id" not in reply["content"]:
            pytest.skip("this ipykernel has no subshells")
        return str(reply["content"]["subshell_id"])

    def is_silent(self, seconds: float) -> bool:
        """Whether a pause of this length comes soon."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                self.heard.append(self.client.get_iopub_msg(timeout=seconds))
            except Empty:
                return True
        return False

    def does_shut_down(self) -> bool:
        """Ask it to end; whether it does so, without being killed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        self.client.shutdown()
        while self.manager.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.manager.is_alive()

    def close(self) -> None:
        if self.manager.is_alive():
            self.manager.shutdown_kernel(now=True)
        self.client.stop_channels()
        self.manager.cleanup_resources()


def is_status(message: Message) -> bool:
    return message["msg_type"] == "comm_msg" and message["content"]["data"].get("kind") == "nbtune.status"


def is_end_of(request: str, message: Message) -> bool:
    is_idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
    return is_idle and message["parent_header"].get("msg_id") == request


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path)
    try:
        yield made
    finally:
        made.close()


def said_over_comms(kernel: Kernel) -> list[dict[str, Any]]:
    return [message["content"]["data"] for message in kernel.heard if message["msg_type"] == "comm_msg"]


def test_importing_nbtune_opens_one_silent_comm_however_often(kernel: Kernel) -> None:
    assert kernel.comms == []
    kernel.run("import nbtune")
    first = kernel.comms
    assert len(first) == 1
    kernel.run("import importlib, nbtune, nbtune.monitor; importlib.reload(nbtune.monitor); importlib.reload(nbtune);")
    kernel.run("import nbtune; nbtune.monitor.announce()")
    assert kernel.comms == first
    assert kernel.run("import sys; print('torch' in sys.modules, 'ipywidgets' in sys.modules)") == "False False"
    assert kernel.run(THREADS) == "0"
    assert [data["kind"] for data in said_over_comms(kernel)] == ["nbtune.hello"]
    assert {message["msg_type"] for message in kernel.heard} == {"status", "execute_input", "stream", "comm_msg"}


def test_statuses_keep_coming_while_a_cell_blocks_and_belong_to_no_cell(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("import nbtune, time")
    kernel.say("watch", watcher="page", period_seconds=0.2)
    kernel.listen_until(is_status)
    before, gate = len(kernel.statuses), tmp_path / "gate"
    cell = kernel.start(f"import os\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)")
    kernel.listen_until(lambda message: len(kernel.statuses) >= before + 5)
    assert not any(is_end_of(cell, message) for message in kernel.heard)
    gate.touch()
    kernel.output_of(cell)
    during = kernel.statuses[before:]
    assert len(during) >= 5
    assert all(message["parent_header"] == {} for message in kernel.statuses)
    numbers = [message["content"]["data"]["sequence"] for message in during]
    assert numbers == sorted(set(numbers))
    (host, *_) = during[-1]["content"]["data"]["devices"]
    assert host["name"] == "host" and 0 < host["now_bytes"] <= host["peak_bytes"] < host["limit_bytes"]
    assert kernel.run(THREADS) == "1"
    assert kernel.is_silent(1.0)  # an idle kernel, or Jupyter would never cull it


def test_nothing_more_is_heard_after_the_page_left_until_it_comes_back(kernel: Kernel) -> None:
    kernel.run("import nbtune")
    kernel.say("watch", watcher="page", period_seconds=0.2)
    kernel.listen_until(is_status)
    left = kernel.say("leave", watcher="page")
    kernel.listen_until(lambda message: is_end_of(left, message))
    heard = len(kernel.statuses)
    threads = "[t.join(5) for t in threading.enumerate() if t.name == 'nbtune-monitor']"
    assert kernel.run(f"import threading; {threads}; {THREADS}") == "0"
    assert len(kernel.statuses) <= heard + 1  # the one that was under way
    kernel.say("watch", watcher="page", period_seconds=0.2)
    kernel.listen_until(is_status)


def test_a_comm_that_a_page_closed_is_found_by_the_next_page(kernel: Kernel) -> None:
    kernel.run("import nbtune")
    comm = kernel.comm
    kernel.send("comm_close", {"comm_id": comm, "data": {}})
    assert kernel.comms == [comm]
    kernel.say("watch", watcher="page", period_seconds=0.2)
    kernel.listen_until(is_status)


def test_malformed_messages_leave_no_trace(kernel: Kernel) -> None:
    kernel.run("import nbtune")
    comm = kernel.comm
    for data in ({}, {"kind": "watch", "schema": 99}, {"kind": ["watch"], "schema": 1}, {"kind": "stop", "schema": 1}):
        request = kernel.send("comm_msg", {"comm_id": comm, "data": data})
        kernel.listen_until(lambda message, request=request: is_end_of(request, message))  # type: ignore[misc]
    assert kernel.run(THREADS) == "0"
    assert [data["kind"] for data in said_over_comms(kernel)] == ["nbtune.hello"]
    assert {message["msg_type"] for message in kernel.heard} == {"status", "execute_input", "stream", "comm_msg"}
    assert kernel.errors.read_text() == kernel.errors_at_start


def test_a_sweep_is_seen_and_stopped_while_its_cell_blocks_and_its_result_knows_the_cell(kernel: Kernel) -> None:
    kernel.run("import nbtune")
    kernel.say("watch", watcher="page", period_seconds=0.2)
    comm, subshell = kernel.comm, kernel.new_subshell()
    cell = kernel.start(TRAIN, cell="cell-1")
    seen = kernel.listen_until(lambda message: is_status(message) and bool(message["content"]["data"]["jobs"]))
    (job,) = seen["content"]["data"]["jobs"]
    assert (job["tool"], job["is_blocking"]) == ("learning_rate", True)
    kernel.listen_until(
        lambda message: is_status(message) and any(j["done"] > 20 for j in message["content"]["data"]["jobs"])
    )
    stop = {"comm_id": comm, "data": {"kind": "stop", "schema": SCHEMA, "job": job["id"]}}
    kernel.send("comm_msg", stop, subshell=subshell)
    outcome, steps = kernel.output_of(cell).split()
    assert outcome == "stopped" and 20 < int(steps) < 60
    again = "curve = nbtune.find_lr(mine, mode='quick', steps=60, lr_max=100, progress=False); print('done')"
    after = kernel.start(f"is_held = False; {again}", "cell-2")
    assert kernel.output_of(after) == "done"
    found = kernel.statuses[-1]["content"]["data"]["results"]
    if not found:
        found = kernel.listen_until(is_status)["content"]["data"]["results"]
    assert [result["cell"] for result in found][:1] == ["cell-2"] and found[0]["code"].startswith("mine.set_lr(")


def test_a_watched_kernel_shuts_down_by_itself_and_says_nothing_on_stderr(kernel: Kernel) -> None:
    kernel.run("import nbtune")
    kernel.say("watch", watcher="page", period_seconds=0.2)
    kernel.listen_until(is_status)
    # A job keeps the statuses coming. No cell runs: ipykernel itself complains when it is to end during one.
    kernel.run("from nbtune.jobs import *; BOARD.begin(Job('comparison', progress=Progress, stop=print))")
    heard = len(kernel.statuses)
    kernel.listen_until(lambda message: len(kernel.statuses) >= heard + 3)
    assert kernel.does_shut_down()
    assert kernel.errors.read_text() == kernel.errors_at_start
