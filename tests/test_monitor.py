"""The kernel's side of the JupyterLab extension: what it says, when, and to whom."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tasks import plain_task
from torch import nn

from nbtune.engine import find_lr
from nbtune.host_memory import HostMemory
from nbtune.jobs import BOARD, Board, Call, Finding, Forecast, Job, Progress
from nbtune.jobs import job as job_module
from nbtune.monitor import SCHEMA, Monitor
from nbtune.monitor import monitor as module

PATIENCE_SECONDS = 120
SHORTEST_SECONDS = 0.2
MIB, GIB = 2**20, 2**30
FIXTURES = Path(__file__).parents[1] / "nbtune" / "lab" / "src" / "test" / "fixtures"
STATUS_KEYS = {
    "kind", "schema", "sequence", "period_seconds", "devices", "forecast", "jobs", "results", "tasks"
}  # fmt: skip


class Page:
    """Hears what is sent, and remembers when."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.times: list[float] = []
        self._changed = threading.Condition()

    def hear(self, message: dict[str, Any]) -> None:
        with self._changed:
            self.heard.append(message)
            self.times.append(time.monotonic())
            self._changed.notify_all()

    def wait_for(self, is_enough: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_enough, PATIENCE_SECONDS), self.heard

    def wait_for_messages(self, number: int) -> None:
        self.wait_for(lambda: len(self.heard) >= number)

    @property
    def gaps(self) -> list[float]:
        """Seconds between messages. A busy machine makes them longer only, so tests ask for a least length, no most."""
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


class Host:
    """A container whose memory a test sets."""

    def __init__(self) -> None:
        self.asked = 0
        self.memory = HostMemory(
            place="container", limit_bytes=16 * GIB, now_bytes=1 * GIB, peak_bytes=2 * GIB, others_bytes=3 * GIB
        )  # fmt: skip

    def __call__(self) -> HostMemory:
        self.asked += 1
        return self.memory

    def becomes(self, *, now: int, peak: int = 2 * GIB, others: int = 3 * GIB) -> None:
        self.memory = HostMemory(
            place="container", limit_bytes=16 * GIB, now_bytes=now, peak_bytes=peak, others_bytes=others
        )  # fmt: skip


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    monkeypatch.setattr(module, "host_memory", made)
    return made


class Watched:
    """A monitor with a board and a page of its own."""

    def __init__(self) -> None:
        self.page, self.board, self.is_busy = Page(), Board(), False
        self.monitor = Monitor(self.page.hear, is_busy=lambda: self.is_busy, board=self.board)

    def say(self, kind: str, **fields: Any) -> None:
        self.monitor.handle({"kind": kind, "schema": SCHEMA, **fields})

    @property
    def thread(self) -> threading.Thread:
        assert self.monitor._thread is not None
        return self.monitor._thread


@pytest.fixture
def watched(host: Host) -> Iterator[Watched]:
    made = Watched()
    yield made
    made.monitor.close(PATIENCE_SECONDS)
    assert monitor_threads() == []


def monitor_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nbtune-monitor"]


def job_of(**changes: Any) -> Job:
    given: dict[str, Any] = {"progress": Progress, "stop": lambda: None, **changes}
    return Job("learning_rate", **given)


# When it speaks


def test_nothing_runs_and_nothing_is_said_before_somebody_watches(watched: Watched, host: Host) -> None:
    watched.board.begin(job_of())
    watched.say("leave", watcher="nobody")
    assert monitor_threads() == [] and watched.page.heard == [] and host.asked == 0
    assert not watched.monitor.is_watched


def test_whoever_begins_to_watch_hears_a_status_at_once(watched: Watched) -> None:
    watched.say("watch", watcher="a", period_seconds=60)
    watched.page.wait_for_messages(1)
    watched.say("watch", watcher="a", period_seconds=60)  # a page that was reloaded
    watched.page.wait_for_messages(2)
    assert [message["sequence"] for message in watched.page.heard] == [1, 2] and watched.thread.daemon


def test_while_a_cell_runs_a_status_comes_every_period(watched: Watched) -> None:
    watched.is_busy = True
    watched.say("watch", watcher="a", period_seconds=0.4)
    watched.page.wait_for_messages(4)
    assert min(watched.page.gaps) >= 0.39 and watched.page.heard[-1]["period_seconds"] == 0.4


def test_while_a_job_is_listed_a_status_comes_every_period_too(watched: Watched) -> None:
    watched.board.begin(job_of())
    watched.say("watch", watcher="a", period_seconds=0.2)
    watched.page.wait_for_messages(4)


def test_an_idle_kernel_is_silent_until_something_changes(watched: Watched, host: Host) -> None:
    watched.say("watch", watcher="a", period_seconds=0.2)
    watched.page.wait_for_messages(1)
    first = host.asked
    deadline = time.monotonic() + PATIENCE_SECONDS
    while host.asked < first + 4 and time.monotonic() < deadline:
        host.becomes(now=1 * GIB + 1000 * host.asked)  # some kB are no news
    assert host.asked >= first + 4 and len(watched.page.heard) == 1
    host.becomes(now=1 * GIB + 2 * MIB)
    watched.page.wait_for_messages(2)
    first = host.asked
    while host.asked < first + 4 and time.monotonic() < deadline:  # nor is what others do all the time,
        host.becomes(now=1 * GIB + 2 * MIB, others=(3 + host.asked % 2) * GIB)
    assert host.asked >= first + 4 and len(watched.page.heard) == 2
    host.becomes(now=1 * GIB + 2 * MIB, others=14 * GIB)  # until it becomes dangerous
    watched.page.wait_for_messages(3)
    assert watched.page.heard[-1]["devices"][0]["others_bytes"] == 14 * GIB


@pytest.mark.parametrize(
    ("now", "others", "expected"),
    [
        (1 * GIB, 3 * GIB, (6 * GIB, True)),  # as it was foreseen
        (3 * GIB, 3 * GIB, (7 * GIB, True)),  # a GiB came since, and stays
        (3 * GIB, 10 * GIB, (7 * GIB, False)),  # and others have taken the room
        (2 * GIB, 11 * GIB, (6 * GIB, False)),
    ],
)
def test_a_forecast_moves_with_what_came_since(now: int, others: int, expected: tuple[int, bool], host: Host) -> None:
    board, task = Board(), plain_task()
    board.forecast = Forecast(
        device="host", batch_size=8, has_run=True, next_batch_size=16, next_bytes=6 * GIB, held_bytes=2 * GIB,
        does_fit=True, task=lambda: task,
    )  # fmt: skip
    host.becomes(now=now, others=others)
    forecast = Monitor(print, board=board).status()["forecast"]
    assert (forecast["next_bytes"], forecast["does_fit"]) == expected


def test_a_forecast_that_says_nothing_is_left_out(host: Host) -> None:
    board, task = Board(), plain_task()
    known: dict[str, Any] = {
        "device": "host", "batch_size": 8, "has_run": True, "next_batch_size": 16, "next_bytes": 1 * GIB,
        "held_bytes": 4 * GIB, "does_fit": True, "task": lambda: task,
    }  # fmt: skip
    host.becomes(now=2 * GIB)
    for changes in ({}, {"next_bytes": 3 * GIB, "task": lambda: None}, {"next_bytes": 3 * GIB, "device": "cuda:0"}):
        board.forecast = Forecast(**{**known, **changes})
        assert Monitor(print, board=board).status()["forecast"] is None
    board.forecast = Forecast(**{**known, "next_bytes": 3 * GIB})
    assert Monitor(print, board=board).status()["forecast"] is not None


def test_memory_that_grows_slowly_is_told_in_the_end(watched: Watched, host: Host) -> None:
    watched.say("watch", watcher="a", period_seconds=0.2)
    watched.page.wait_for_messages(1)
    start, deadline = host.asked, time.monotonic() + PATIENCE_SECONDS
    while len(watched.page.heard) < 2 and time.monotonic() < deadline:
        host.becomes(now=1 * GIB + (host.asked - start) * MIB // 4)
    told = watched.page.heard[-1]["devices"][0]["now_bytes"] - 1 * GIB
    assert len(watched.page.heard) == 2 and told >= MIB


def test_a_change_on_the_board_is_told_at_once(watched: Watched) -> None:
    watched.say("watch", watcher="a", period_seconds=60)
    watched.page.wait_for_messages(1)
    job = job_of()
    watched.board.begin(job)
    watched.page.wait_for(lambda: len(watched.page.heard[-1]["jobs"]) == 1)
    watched.board.stop(job.id)
    watched.page.wait_for(lambda: [j["is_stopping"] for j in watched.page.heard[-1]["jobs"]] == [True])
    watched.board.end(job, Finding(tool="learning_rate", lr="0.1"))
    watched.page.wait_for(lambda: [found["lr"] for found in watched.page.heard[-1]["results"]] == ["0.1"])
    assert watched.page.heard[-1]["jobs"] == []


def test_a_flood_of_changes_is_told_five_times_a_second_at_most(watched: Watched) -> None:
    watched.say("watch", watcher="a", period_seconds=60)
    deadline, job = time.monotonic() + PATIENCE_SECONDS, job_of()
    while len(watched.page.heard) < 6 and time.monotonic() < deadline:
        watched.board.begin(job)
    watched.board.end(job)
    assert len(watched.page.heard) >= 6 and min(watched.page.gaps) >= SHORTEST_SECONDS - 0.005


@pytest.mark.parametrize(
    ("asked", "given"),
    [(2, 2.0), (0, 0.2), (-5, 0.2), (1e9, 60.0), (float("inf"), 60.0), (float("nan"), 1.0), ("fast", 1.0), (None, 1.0),
     ([3], 1.0), (10**400, 60.0)],
    ids=lambda value: str(value)[:8],
)  # fmt: skip
def test_the_period_is_what_was_asked_for_within_limits(watched: Watched, asked: Any, given: float) -> None:
    watched.say("watch", watcher="a", period_seconds=asked)
    watched.page.wait_for_messages(1)
    assert watched.page.heard[0]["period_seconds"] == given


def test_the_newest_watcher_sets_the_period(watched: Watched) -> None:
    watched.say("watch", watcher="a", period_seconds=60)
    watched.page.wait_for_messages(1)
    watched.say("watch", watcher="b", period_seconds=30)
    watched.page.wait_for_messages(2)
    assert [message["period_seconds"] for message in watched.page.heard] == [60, 30]
    assert len(monitor_threads()) == 1


# Who watches


def test_the_thread_ends_when_the_last_watcher_leaves(watched: Watched) -> None:
    for watcher in ("a", "b", "a"):
        watched.say("watch", watcher=watcher, period_seconds=60)
    thread = watched.thread
    watched.say("leave", watcher="stranger")
    watched.say("leave", watcher="a")
    assert watched.monitor.is_watched and thread.is_alive()
    watched.say("leave", watcher="b")
    assert not watched.monitor.is_watched
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_nothing_is_said_after_the_last_one_left(watched: Watched) -> None:
    watched.is_busy = True
    watched.say("watch", watcher="a", period_seconds=0.2)
    watched.page.wait_for_messages(2)
    thread = watched.thread
    watched.say("leave", watcher="a")
    thread.join(PATIENCE_SECONDS)
    said = len(watched.page.heard)
    watched.board.begin(job_of())
    assert len(watched.page.heard) == said and monitor_threads() == []


def test_of_pages_that_never_say_goodbye_the_oldest_are_forgotten(watched: Watched) -> None:
    for number in range(100):
        watched.say("watch", watcher=f"page {number}", period_seconds=60)
    for number in range(80, 100):
        watched.say("leave", watcher=f"page {number}")
    assert not watched.monitor.is_watched


def test_somebody_who_leaves_and_comes_back_at_once_is_heard_by_one_thread(watched: Watched) -> None:
    for _ in range(300):
        watched.say("watch", watcher="a", period_seconds=60)
        watched.say("leave", watcher="a")
    watched.say("watch", watcher="a", period_seconds=60)
    heard = len(watched.page.heard)
    watched.page.wait_for_messages(heard + 1)
    watched.board.begin(job_of())
    watched.page.wait_for(lambda: len(watched.page.heard[-1]["jobs"]) == 1)
    assert [thread for thread in monitor_threads() if thread is not watched.thread] == []


def test_closing_waits_for_the_end_of_the_thread(watched: Watched) -> None:
    watched.say("watch", watcher="a", period_seconds=60)
    watched.page.wait_for_messages(1)
    watched.monitor.close(PATIENCE_SECONDS)
    assert monitor_threads() == [] and not watched.monitor.is_watched


# What it is told


def test_a_stop_message_stops_the_job_of_this_id_alone(watched: Watched) -> None:
    calls = [Call("learning_rate"), Call("comparison")]
    for call in calls:
        watched.board.begin(call)
    watched.say("stop", job=calls[1].id)
    assert [call.is_stopped for call in calls] == [False, True] == [call.is_stopping for call in calls]


def test_a_stop_message_ends_a_sweep_under_way() -> None:
    page = Page()
    monitor = Monitor(page.hear)
    steps: list[int] = []

    def training_step(model: Any, batch: Any) -> Any:
        steps.append(1)
        if len(steps) == 10:
            monitor.handle({"kind": "stop", "schema": SCHEMA, "job": monitor.status()["jobs"][0]["id"]})
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    curve = find_lr(plain_task(loss_fn=None, training_step=training_step), progress=False)
    assert curve.outcome == "stopped" and len(curve.steps) < 30
    assert page.heard == [] and monitor_threads() == []


@pytest.mark.parametrize(
    "message",
    [
        None, 3, "watch", [], {}, ["kind", "watch"], {"kind": "watch"}, {"schema": SCHEMA}, {"kind": None, "schema": 1},
        {"kind": "watch", "schema": SCHEMA + 1}, {"kind": "watch", "schema": "1"}, {"kind": "watch", "schema": None},
        {"kind": "stop", "schema": SCHEMA + 1, "job": "1"}, {"kind": "stop", "schema": SCHEMA},
        {"kind": "stop", "schema": SCHEMA, "job": {"id": 1}}, {"kind": "stop", "schema": SCHEMA, "job": "999999999"},
        {"kind": "WATCH", "schema": SCHEMA}, {"kind": ["watch"], "schema": SCHEMA}, {"kind": {}, "schema": SCHEMA},
        {"kind": "leave", "schema": SCHEMA, "watcher": ["a"]}, {"kind": "__class__", "schema": SCHEMA},
    ],
    ids=str,
)  # fmt: skip
def test_messages_that_are_malformed_or_of_another_version_are_ignored(watched: Watched, message: Any) -> None:
    job = Call("learning_rate")
    job.id = "1"
    watched.board.begin(job)
    watched.monitor.handle(message)
    assert not watched.monitor.is_watched and monitor_threads() == [] and watched.page.heard == []
    assert not job.is_stopped


# What it says


def test_a_status_has_these_keys_and_no_others_and_is_plain_json(watched: Watched) -> None:
    watched.board.begin(job_of())
    watched.board.end(job_of(), Finding(tool="batch_size", batch_size=8))
    status = watched.monitor.status()
    assert set(status) == STATUS_KEYS and (status["kind"], status["schema"]) == ("nbtune.status", 1)
    assert json.loads(json.dumps(status, allow_nan=False)) == status


def test_a_status_about_a_real_search_is_plain_json() -> None:
    from nbtune.engine.batch_size.find import find_batch_size
    from nbtune.engine.comparison.compare import compare_batch_sizes

    seen: list[dict[str, Any]] = []
    monitor = Monitor(seen.append)

    def training_step(model: Any, batch: Any) -> Any:
        seen.append(monitor.status())
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    task = plain_task(lr=0.02, loss_fn=None, training_step=training_step)
    find_lr(task, progress=False)
    find_batch_size(task, max_batch_size=4, progress=False)
    compare_batch_sizes(task, [8, 96], budget="10 epochs", lr="scaled", progress=False)
    seen.append(monitor.status())
    for status in seen:
        assert json.loads(json.dumps(status, allow_nan=False)) == status
    assert monitor.board.forecast is not None and len(seen[-1]["results"]) >= 3 and seen[-1]["jobs"] == []


def test_what_goes_wrong_is_said_in_place_of_a_status_and_not_repeated(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, host: Host
) -> None:
    asked: list[int] = []

    def fail() -> Any:
        asked.append(1)
        raise OSError("meminfo is gone")

    monkeypatch.setattr(module, "host_memory", fail)
    watched.say("watch", watcher="a", period_seconds=0.2)
    watched.page.wait_for_messages(1)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(asked) < 4 and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    trouble = {"kind": "nbtune.trouble", "schema": SCHEMA, "text": "OSError: meminfo is gone"}
    assert watched.page.heard == [trouble]
    monkeypatch.setattr(module, "host_memory", host)
    watched.page.wait_for_messages(2)
    assert watched.page.heard[1]["kind"] == "nbtune.status"


def test_a_peak_that_a_tool_has_reset_is_still_a_peak(watched: Watched, host: Host) -> None:
    host.becomes(now=1 * GIB, peak=5 * GIB)
    watched.monitor.status()
    host.becomes(now=1 * GIB, peak=1 * GIB)
    assert watched.monitor.status()["devices"][0]["peak_bytes"] == 5 * GIB


def test_a_machine_that_says_nothing_of_its_memory_has_no_devices(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "host_memory", lambda: None)
    assert [device["name"] for device in watched.monitor.status()["devices"] if device["name"] == "host"] == []


def finding_about(task: Any) -> Finding:
    return Finding(tool="learning_rate", lr="0.1", batch_size=8, task=lambda: task)


def code_of(namespace: dict[Any, Any], task: Any) -> str:
    board = Board()
    monitor = Monitor(lambda message: None, namespace=lambda: namespace, board=board)
    board.end(job_of(), finding_about(task))
    board.forecast = Forecast(
        device="host", batch_size=8, has_run=True, next_batch_size=16, next_bytes=2**50, held_bytes=2**50,
        does_fit=False, task=lambda: task,
    )  # fmt: skip
    status = monitor.status()
    assert status["forecast"]["code"] == status["results"][0]["code"].splitlines()[0]
    return str(status["results"][0]["code"])


def test_code_is_about_the_notebook_s_own_name_for_the_task() -> None:
    task, other = plain_task(), plain_task()
    assert code_of({"x": 1, "other": other, "mine": task}, task) == "mine = mine.with_(batch_size=8)\nmine.set_lr(0.1)"
    assert code_of({"η_task": task}, task).splitlines()[1] == "η_task.set_lr(0.1)"


@pytest.mark.parametrize(
    "key",
    [
        "x; import os", "<img>", "class", "None", "", " task", "a.b", "a b", "1a", "a\n", "_hidden", "__builtins__", 3,
        None, ("a",), b"a", "a" * 81, "a\u0301", "ↀ", "a\u2028b", "a\u202eb", "a${b}",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_name_that_is_none_never_gets_into_code_or_the_list_of_tasks(key: Any) -> None:
    task = plain_task()
    assert code_of({key: task}, task) == "task = task.with_(batch_size=8)\ntask.set_lr(0.1)"
    monitor = Monitor(lambda message: None, namespace=lambda: {key: task, "good": task}, board=Board())
    assert monitor.status()["tasks"] == ["good"]


def test_the_latest_tasks_are_named_and_at_most_four() -> None:
    namespace: dict[str, Any] = {f"task_{number}": plain_task() for number in range(6)}
    namespace |= {"model": namespace["task_0"].model, "text": "task", "kind": type(namespace["task_0"])}
    monitor = Monitor(lambda message: None, namespace=lambda: namespace, board=Board())
    assert monitor.status()["tasks"] == ["task_5", "task_4", "task_3", "task_2"]


def test_variables_of_hostile_types_are_left_alone() -> None:
    class Hostile:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]

    task = plain_task()
    assert code_of({"a": Hostile(), "mine": task, "b": Hostile()}, task).startswith("mine = ")


def test_a_class_named_like_markup_arrives_as_that_text() -> None:
    name = "<img src=x onerror=alert(1)>"
    task = plain_task()
    task.model.__class__ = type(name, (nn.Linear,), {})
    monitor = Monitor(lambda message: None)
    find_lr(task, progress=False)
    assert BOARD.findings[0].model == name == monitor.status()["results"][0]["model"]


def test_a_status_costs_half_a_percent_of_a_core_at_most() -> None:
    namespace: dict[str, Any] = {f"variable_{number}": number for number in range(1000)} | {"task": plain_task()}
    board = Board()
    for lr in range(6):
        board.end(job_of(), Finding(tool="learning_rate", lr=str(lr)))
    board.begin(job_of())
    monitor = Monitor(lambda message: None, namespace=lambda: namespace, board=board)

    def seconds() -> float:
        before = time.thread_time()
        monitor.status()
        return time.thread_time() - before

    assert sorted(seconds() for _ in range(21))[10] < 0.005


# GPUs


class Cuda:
    """``torch.cuda`` of a machine with three GPUs, of which this process uses the last two."""

    def __init__(self, *, is_initialized: bool = True) -> None:
        self._is_initialized = is_initialized
        self.asked: list[tuple[str, int]] = []
        self._now, self._peak = [0, 3 * GIB, 0], [0, 5 * GIB, 2 * GIB]

    def is_initialized(self) -> bool:
        return self._is_initialized

    def device_count(self) -> int:
        assert self._is_initialized
        return 3

    def memory_reserved(self, index: int) -> int:
        return self._now[index]

    def max_memory_reserved(self, index: int) -> int:
        return self._peak[index]

    def mem_get_info(self, index: int) -> tuple[int, int]:
        self.asked.append(("mem_get_info", index))
        return 4 * GIB, 8 * GIB

    def get_device_name(self, index: int) -> str:
        self.asked.append(("get_device_name", index))
        return f"Card {index}"


def gpus_of(cuda: Any, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    return module.gpus()


def test_a_gpu_that_torch_has_not_begun_to_use_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(is_initialized=False)
    assert gpus_of(cuda, monkeypatch) == [] and cuda.asked == []


def test_only_gpus_that_this_process_uses_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda()
    first, second = gpus_of(cuda, monkeypatch)
    assert first == {
        "name": "cuda:1", "title": "Card 1", "place": "gpu", "limit_bytes": 8 * GIB, "now_bytes": 3 * GIB,
        "peak_bytes": 5 * GIB, "others_bytes": 1 * GIB,
    }  # fmt: skip
    assert (second["name"], second["now_bytes"], second["peak_bytes"], second["others_bytes"]) == (
        "cuda:2", 0, 2 * GIB, 4 * GIB,
    )  # fmt: skip
    assert {index for _, index in cuda.asked} == {1, 2}


@pytest.mark.parametrize("torch", [None, SimpleNamespace(), SimpleNamespace(cuda=SimpleNamespace())])
def test_without_torch_or_half_of_it_there_are_no_gpus(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert module.gpus() == []


# The contract with the TypeScript side


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def assert_same_as_fixture(name: str, message: dict[str, Any]) -> None:
    """The committed file says the same; if not, it is written anew, to be looked at and committed."""
    path, text = FIXTURES / name, json.dumps(message, indent=2, ensure_ascii=False) + "\n"
    known = path.read_text(encoding="utf-8") if path.exists() else ""
    if known != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert known == text, f"{path} differed and was written anew: see the diff, then tell the TypeScript side"


@pytest.fixture
def said(host: Host, monkeypatch: pytest.MonkeyPatch) -> Monitor:
    """A monitor of a kernel where everything that a status can hold is there."""
    clock, board = Clock(), Board()
    monkeypatch.setattr(job_module, "time", clock)
    with monkeypatch.context() as patch:
        gpus = gpus_of(Cuda(), patch)[:1]
    monkeypatch.setattr(module, "gpus", lambda: [dict(gpu) for gpu in gpus])
    task = plain_task()
    sweep = Call("learning_rate", "quick sweep", max_seconds=60)
    search = job_of(widget="0123456789abcdef0123456789abcdef", progress=lambda: Progress(3, unit="batch sizes"))
    search.tool, search.detail = "batch_size", "estimate"
    sweep.id, search.id = "7", "8"
    clock.now += 5
    sweep.now = Progress(40, 100, "steps", 0.4)
    forecast = Forecast(
        device="cuda:1", batch_size=256, has_run=True, next_batch_size=512, next_bytes=9 * GIB,
        held_bytes=8 * GIB, does_fit=False, task=lambda: task,
    )  # fmt: skip
    limit = Finding(
        tool="batch_size", batch_size=256, detail="this GPU, measured", model="DenseNet", task=lambda: task,
        widget="fedcba9876543210fedcba9876543210", id="5",
    )  # fmt: skip
    duel = Finding(
        tool="comparison", lr="0.02", batch_size=32, detail="480 samples",
        model="<img src=x onerror=alert(1)> + Linear", cell="b7c1", id="6",
    )  # fmt: skip
    board.end(search, limit, forecast)
    board.end(search, duel)
    board.begin(sweep)
    board.begin(search)
    search.stop()
    return Monitor(lambda message: None, namespace=lambda: {"first_task": plain_task(), "η_task": task}, board=board)


def test_a_status_is_the_one_the_extension_is_tested_with(said: Monitor) -> None:
    status = said.status()
    assert len(status["devices"]) == len(status["jobs"]) == len(status["results"]) == len(status["tasks"]) == 2
    assert_same_as_fixture("status.json", status)


def test_trouble_is_the_one_the_extension_is_tested_with(said: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise OSError("/proc/meminfo is not what it was")

    monkeypatch.setattr(module, "host_memory", fail)
    assert_same_as_fixture("trouble.json", said._status_or_trouble())
