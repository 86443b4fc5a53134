"""Kernels for the tests in a browser, forked from one process that has imported what every kernel imports.

A kernel of its own takes four seconds of a core for torch, Bokeh and matplotlib before its first cell ends, and there
are eighty. nbtune itself is imported by each of them. Jupyter starts, interrupts and kills a process of no more than
the standard library (``ask``), which passes signals on; with its end ends the kernel, and the other way round.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

IMPORTED = (
    "torch", "torch._dynamo", "ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib_inline.backend_inline",
    "matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.textpath", "ipywidgets", "anywidget",
    "bokeh.plotting", "bokeh.embed",
)  # fmt: skip
LARGEST_REQUEST = 2**20
"""Bytes: arguments and environment of a kernel."""


@contextmanager
def forked_kernels(folder: Path) -> Iterator[list[str]]:
    """The command that starts a kernel, to which its arguments are added, as long as the context lasts.

    Args:
        folder: Where the socket lies; a short path.
    """
    place = str(folder / "kernels")
    command = [sys.executable, __file__, "serve", place]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        try:
            # Isolated and without site-packages: it begins in milliseconds.
            yield [sys.executable, "-I", "-S", __file__, "ask", place]
        finally:
            process.communicate()  # the end of its standard input is its own


# The process that Jupyter knows


def ask(place: str, arguments: Sequence[str]) -> None:
    """Have a kernel forked with this process's environment, folder and outputs; last as long as it does."""
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.connect(place)
        request = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
        socket.send_fds(kernel, [json.dumps(request).encode()], [0, 1, 2])
        pid = int(kernel.recv(32))

        def pass_on(number: int, _: FrameType | None) -> None:
            os.kill(pid, number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, pass_on)
        parent = os.getppid()
        kernel.settimeout(1)
        while os.getppid() == parent:  # else the server is gone
            try:
                kernel.recv(1)
                return
            except TimeoutError:
                continue


# The process that forks


def serve(place: str) -> None:
    """Fork a kernel for each who asks, until standard input ends."""
    import gc
    import importlib
    import select

    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # no collection of a kernel's has to look through it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    with socket.socket(socket.AF_UNIX) as asked:
        asked.bind(place)
        asked.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([asked, sys.stdin], [], [])[0]:
            connection, _ = asked.accept()
            if os.fork() == 0:
                asked.close()
                become_kernel(connection)
                sys.exit()
            connection.close()


def become_kernel(connection: socket.socket) -> None:
    """Be to the one who asked what a process started by it would be."""
    import fcntl

    data, outputs, *_ = socket.recv_fds(connection, LARGEST_REQUEST, 3)
    for number, output in enumerate(outputs):
        os.dup2(output, number)
        os.close(output)
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # When the one who asked is killed, the system sends SIGIO, which ends a process.
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, os.O_ASYNC)
    run_kernel(json.loads(data), connection)


def run_kernel(request: dict[str, object], connection: socket.socket) -> None:
    """As ``python -m ipykernel_launcher`` does."""
    from ipykernel import kernelapp

    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    os.environ.pop("JPY_PARENT_PID", None)  # not this process's parent
    os.chdir(str(request["folder"]))
    sys.argv = ["ipykernel_launcher", *request["arguments"]]  # type: ignore[misc]
    sys.path.remove(str(Path(__file__).parent))
    connection.send(str(os.getpid()).encode())
    kernelapp.launch_new_instance()


if __name__ == "__main__":
    role, place_asked, *rest = sys.argv[1:]
    serve(place_asked) if role == "serve" else ask(place_asked, rest)
