"""The wheel: built from clean sources, complete and small, and at home in a JupyterLab without node or torch.

A build takes a minute and npm's registry. So these tests are skipped unless NBTUNE_WHEEL names the wheel to judge
(.ci/run has built it from a clean copy) or NBTUNE_REQUIRE_BUILD=1 has one built here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

import pytest
from repository import is_environment, kept_tutorials

import nbtune

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
EXTENSION = "share/jupyter/labextensions/nbtune/"
SCRIPT_BYTES = 60_000
# Named in the sources; anything else would be where this machine gets its packages from.
HOSTS = {"docs.pytorch.org", "download.pytorch.org", "github.com", "monai.io", "www.w3.org"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if built := os.environ.get("NBTUNE_WHEEL"):
        return Path(built)
    if not os.environ.get("NBTUNE_REQUIRE_BUILD"):
        pytest.skip("neither NBTUNE_WHEEL nor NBTUNE_REQUIRE_BUILD is set")
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in sources():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(source)], check=True)
    return next(wheels.glob("*.whl"))


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, bytes]:
    """Every file of the wheel; those of the extension by the name they are installed under."""
    with ZipFile(wheel) as archive:
        return {re.sub(r"^[^/]+\.data/data/", "", name): archive.read(name) for name in archive.namelist()}


def sources(*patterns: str) -> list[str]:
    """The files that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def test_the_wheel_holds_these_sources_and_the_tutorials_and_no_tool(contents: dict[str, bytes]) -> None:
    # Not whatever else lies in that folder: who tries nbtune makes notebooks there.
    shipped = {f"notebooks/{name}": f"{EXTENSION}static/tutorials/{name}" for name in kept_tutorials()}
    shipped |= {name: EXTENSION + "schemas/nbtune/" + Path(name).name for name in sources("nbtune/lab/schema")}
    shipped |= {name: name for name in sources("nbtune") if not name.startswith("nbtune/lab/")}
    assert len(shipped) > 50
    for name, place in shipped.items():
        assert contents[place] == (ROOT / name).read_bytes(), name
    assert f"{EXTENSION}install.json" in contents
    unwanted = re.compile(r"node_modules|\.tsx?$|\.map$|tsbuildinfo|yarn|^nbtune/lab")
    assert [name for name in contents if unwanted.search(name)] == []


def test_the_extension_is_small_and_brings_nothing_that_jupyterlab_has(contents: dict[str, bytes]) -> None:
    scripts = {name: text.decode() for name, text in contents.items() if re.match(f"{EXTENSION}.*js$", name)}
    assert sum(map(len, scripts.values())) <= SCRIPT_BYTES
    package = json.loads(contents[f"{EXTENSION}package.json"])
    assert package["version"] == nbtune.__version__
    (entry,) = (text for name, text in scripts.items() if "remoteEntry" in name)
    taken = r'shareKey:"([^"]+)",import:(\w+),requiredVersion:"([^"]+)",strictVersion:!(\d),singleton:!(\d)'
    consumed = {name: rest for name, *rest in re.findall(taken, entry)}
    assert {"@jupyterlab/notebook", "@lumino/widgets", "react"} <= set(consumed)
    for name, (bundled, required, strict, single) in consumed.items():
        assert (bundled, strict, single) == ("null", "1", "0"), name  # !1 is false, !0 is true
        if name.startswith("@jupyterlab/"):
            # Else JupyterLab 4.2 warns of every package that it is older than the one built with.
            assert required == package["dependencies"][name], name
    licences = json.loads(contents[f"{EXTENSION}static/third-party-licenses.json"])
    assert {one["name"] for one in licences["packages"]} == {"css-loader", "style-loader"}


def test_nothing_tells_where_it_was_built(contents: dict[str, bytes]) -> None:
    places = {str(ROOT), f"{Path.home()}/", f"{tempfile.gettempdir()}/"}
    texts = {**contents, "yarn.lock": (ROOT / "nbtune/lab/yarn.lock").read_bytes()}
    for name, text in ((name, text.decode()) for name, text in texts.items()):
        assert [place for place in places if place in text] == [], name
        assert set(re.findall(r"https?://([\w.:-]+)", text)) <= HOSTS, name
    assert "://" not in texts["yarn.lock"].decode()
    assert "__archiveUrl" not in texts["yarn.lock"].decode()


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """An environment with a JupyterLab, the wheel and none of its requirements: NBTUNE_OLDEST_LAB is one."""
    if is_environment(os.environ.get("NBTUNE_OLDEST_LAB", "")):
        return Path(os.environ["NBTUNE_OLDEST_LAB"])
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    pip = [str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "jupyterlab"], check=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    return place


def test_jupyterlab_lists_it_as_enabled_where_there_is_no_node(installed: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTHON"))}
    environment |= {"HOME": str(tmp_path), "PATH": str(installed / "bin")}
    assert shutil.which("node", path=environment["PATH"]) is None

    def run(*command: str) -> str:
        place = installed / "bin" / command[0]
        done = subprocess.run(
            [str(place), *command[1:]], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return re.sub(r"\x1b\[\d+m", "", done.stdout + done.stderr)

    listed = run("jupyter", "labextension", "list")
    assert re.search(rf"nbtune v{re.escape(nbtune.__version__)} enabled +OK \(python, nbtune\)", listed), listed
    where = "import nbtune, pathlib; print([p['dest'] for p in nbtune._jupyter_labextension_paths()], nbtune.__file__)"
    assert run("python", "-c", where).startswith(f"['nbtune'] {installed}")
