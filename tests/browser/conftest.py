"""A real JupyterLab and a real Notebook 7, driven in a real Chromium; nothing leaves the machine.

Without a browser the tests are skipped, or fail where NBTUNE_REQUIRE_BROWSER=1. With NBTUNE_SCREENSHOTS=folder they
keep pictures of what they saw.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from forked_kernels import forked_kernels
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

import nbtune

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
KERNEL = (sys.executable, "-m", "ipykernel_launcher")
EXTENSION = Path(nbtune.__file__).parent / "labextension"
PATIENCE_MS = 120_000
"""Before a wait that should have ended long ago fails. Only a failing test waits so long: nothing is measured by it."""
PLOTS = "[data-points]:not([hidden] *)"
"""Those in sight: the plots of a widget's other modes are not."""
ERRORS_OF_OTHERS = {
    # Notebook 7.6.5, also with an empty notebook: it looks for the settings of a plugin that it left out.
    "reading 'schema'": "static/notebook/notebook_core",
    # Notebook 7.2.0: its checkpoint indicator, every two seconds, takes the last of a list that is still empty when the
    # kernel is ready before the first checkpoint is made. 7.6.5 asks for the length first.
    "reading 'last_modified'": "static/notebook/",
}
"""Errors on a page that are none of the extension's: words of the error → place of the script that raised it."""

expect.set_options(timeout=PATIENCE_MS)


class Server:
    """One running ``jupyter lab`` or ``jupyter notebook`` with folders of its own.

    Args:
        kind: "lab" or "notebook".
        root: An empty folder for all it writes.
        python: That of the environment with the Jupyter to be run. The kernels are always this process's Python.
        kernel: The command that starts one, before its arguments.
    """

    def __init__(self, kind: str, root: Path, *, python: str = sys.executable, kernel: Sequence[str] = KERNEL) -> None:
        self.kind, self.folder = kind, root / "notebooks"
        self.folder.mkdir()
        self.port, self._token = _free_port(), secrets.token_hex()
        environment = {**_environment(root, kernel), "JUPYTER_TOKEN": self._token}
        self._process = subprocess.Popen([python, *_arguments(kind, self.port)], cwd=self.folder, env=environment)
        self._wait()

    def write(self, name: str, *cells: str) -> Path:
        """A notebook of code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.folder / name
        nbformat.write(notebook, path)
        return path

    def hold(self, name: str) -> Path:
        """A file for which a cell waits, so that it ends when a test says so; to be deleted then."""
        gate = self.folder / name
        gate.touch()
        return gate

    def url(self, name: str) -> str:
        """Where the notebook opens."""
        place = f"lab/tree/{name}?reset&" if self.kind == "lab" else f"notebooks/{name}?"
        return f"http://127.0.0.1:{self.port}/{place}token={self._token}"

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "the server ended at once"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/status?token={self._token}", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError("the server did not answer")


class Notebook:
    """An open notebook and what a person does with it."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.page_errors: list[str] = []
        self.foreign_requests: list[str] = []
        page.on("pageerror", lambda error: self.page_errors.append(f"{error}\n{error.stack}"))
        page.on("request", lambda request: self._note(request.url))
        page.on("websocket", lambda socket: self._note(socket.url))

    def open(self, name: str) -> None:
        """Load it and wait until its kernel is connected and idle."""
        self.page.goto(self.server.url(name))
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=PATIENCE_MS)
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft?.()")
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        self.wait(
            """() => {
                const widget = window.jupyterapp?.shell.currentWidget;
                const kernel = (widget?.sessionContext ?? widget?.content?.sessionContext)?.session?.kernel;
                return kernel?.status === "idle" && kernel.connectionStatus === "connected";
            }"""
        )

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        script = "async ([c, a]) => { await window.jupyterapp.commands.execute(c, a); }"
        self.page.evaluate(script, [name, arguments or {}])

    def run(self, index: int, *, wait: bool = True) -> None:
        """Run a cell."""
        self.page.evaluate("i => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i; }", index)
        self.command("notebook:run-cell")
        if wait:
            self.wait_until_idle()

    def output(self, index: int) -> str:
        """A cell's text output, without widgets."""
        outputs = self.page.evaluate(
            "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.outputs.toJSON()", index
        )
        return "".join(str(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in outputs)

    def wait(self, script: str, argument: Any = None) -> None:
        self.page.wait_for_function(script, arg=argument, timeout=PATIENCE_MS)

    def panel(self, index: int = 0) -> Locator:
        return self.page.locator(".nbtune-panel").nth(index)

    def wait_for_state(self, state: str, index: int = 0) -> None:
        self.wait("([s, i]) => document.querySelectorAll('.nbtune-panel')[i]?.dataset.state === s", [state, index])

    def wait_for_points(self, least: int, index: int = 0) -> None:
        self.wait(f"([n, i]) => +document.querySelectorAll('{PLOTS}')[i]?.dataset.points >= n", [least, index])

    def points(self, index: int = 0) -> int:
        """Points in the BokehJS model, as the view counted them after drawing."""
        return int(self.page.locator(PLOTS).nth(index).get_attribute("data-points") or -1)

    def picture(self, name: str, index: int = 0) -> None:
        """Keep a screenshot of the panel, where a folder for them is named."""
        folder = os.environ.get("NBTUNE_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.panel(index).screenshot(path=Path(folder) / f"{self.server.kind}_{name}.png")

    def _note(self, url: str) -> None:
        if url.startswith(("http", "ws")) and url.split("/")[2].split(":")[0] not in ("127.0.0.1", "localhost"):
            self.foreign_requests.append(url)


# Not for the session: while Playwright runs, its event loop is this thread's, and asyncio.run refuses in other tests.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        if os.environ.get("NBTUNE_REQUIRE_BROWSER"):
            pytest.fail("no Chromium or Chrome on this machine, and NBTUNE_REQUIRE_BROWSER is set")
        pytest.skip("no Chromium or Chrome on this machine")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def kernel() -> Iterator[Sequence[str]]:
    """The command that starts one."""
    if sys.platform != "linux":  # without fork or SIGIO each imports for itself
        yield KERNEL
        return
    # A socket's path may have a hundred letters, and pytest's folders have more.
    with tempfile.TemporaryDirectory() as folder, forked_kernels(Path(folder)) as command:
        yield command


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory, kernel: Sequence[str]) -> Iterator[Server]:
    server = Server("lab", tmp_path_factory.mktemp("lab"), kernel=kernel)
    yield server
    server.close()


@pytest.fixture(scope="session")
def notebook_server(tmp_path_factory: pytest.TempPathFactory, kernel: Sequence[str]) -> Iterator[Server]:
    server = Server("notebook", tmp_path_factory.mktemp("notebook"), kernel=kernel)
    yield server
    server.close()


# One for each server: its pages share what the browser keeps of Jupyter's scripts, which else are read anew each time.
@pytest.fixture(scope="module")
def lab_visits(browser: Browser) -> BrowserContext:
    return _visits(browser)


@pytest.fixture(scope="module")
def notebook_visits(browser: Browser) -> BrowserContext:
    return _visits(browser)


@pytest.fixture
def lab(lab_visits: BrowserContext, lab_server: Server) -> Iterator[Notebook]:
    yield from _opened(lab_visits, lab_server)


@pytest.fixture
def notebook7(notebook_visits: BrowserContext, notebook_server: Server) -> Iterator[Notebook]:
    yield from _opened(notebook_visits, notebook_server)


def _visits(browser: Browser) -> BrowserContext:
    return browser.new_context(viewport={"width": 1000, "height": 1400})


def _opened(visits: BrowserContext, server: Server) -> Iterator[Notebook]:
    page = visits.new_page()
    page.set_default_timeout(PATIENCE_MS)
    notebook = Notebook(page, server)
    yield notebook
    # Before the kernels end: a kernel that is ending may send half a message (pyzmq's "gc socket requested during
    # shutdown"), which Lab cannot read.
    page_errors = list(notebook.page_errors)
    page.evaluate(
        """async () => {
            const sessions = window.jupyterapp?.serviceManager.sessions;
            for (const session of sessions?.running() ?? []) await sessions.shutdown(session.id);
        }"""
    )
    page.close()
    assert [error for error in page_errors if not is_of_others(error)] == []
    assert notebook.foreign_requests == []


def is_of_others(error: str) -> bool:
    """Whether a page's error is one of ``ERRORS_OF_OTHERS``, and not from a script of ours."""
    known = any(words in error and place in error for words, place in ERRORS_OF_OTHERS.items())
    return known and "/nbtune/" not in error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _arguments(kind: str, port: int) -> list[str]:
    app = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}[kind]
    return [
        "-m", f"jupyter{'lab' if kind == 'lab' else ''}", *(["notebook"] if kind == "notebook" else []),
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        f"--{app}.expose_app_in_browser=True", "--log-level=ERROR",
    ]  # fmt: skip


def _environment(root: Path, kernel: Sequence[str]) -> dict[str, str]:
    folders = {
        "HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "JUPYTERLAB_SETTINGS_DIR": "settings", "IPYTHONDIR": "ipython",
    }  # fmt: skip
    made = {name: str(root / folder) for name, folder in folders.items()}
    for path in made.values():
        Path(path).mkdir(exist_ok=True)
    # Else Lab asks whether to fetch news, in a toast over the page.
    settings = root / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    _write_kernel(root / "path" / "kernels" / "python3", kernel)
    if EXTENSION.is_dir():  # that of the code under test, wherever another one may be installed
        (root / "path" / "labextensions").mkdir()
        (root / "path" / "labextensions" / "nbtune").symlink_to(EXTENSION)
    return {**os.environ, **made, "JUPYTER_PATH": str(root / "path"), "OMP_NUM_THREADS": "1"}


def _write_kernel(folder: Path, kernel: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    command = [*kernel, "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python", "metadata": {"debugger": True}}
    (folder / "kernel.json").write_text(json.dumps(spec))
