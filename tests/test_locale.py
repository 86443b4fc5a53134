"""The Spanish texts of the extension are those its sources ask for, no more and no fewer."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nbtune

LAB = Path(nbtune.__file__).parent / "lab"
PACK = json.loads((Path(nbtune.__file__).parent / "locale/es_ES/LC_MESSAGES/nbtune.json").read_text("utf-8"))
TRANSLATED = {key: values[0] for key, values in PACK.items() if key}


def asked_for_by_sources() -> set[str]:
    sources = "".join(path.read_text("utf-8") for path in sorted((LAB / "src").glob("*.ts*")))
    calls = len(re.findall(r"\.__\(", sources))
    texts = re.findall(r"\.__\(\s*'([^'\\]+)'\s*[,)]", sources)
    # Else a text would be put together, and no translation could ever match it. One call is the function's own.
    assert calls - 1 == len(texts) > 60
    return set(texts)


# None of the settings' titles are here: JupyterLab's server looks for those in its own language packs alone.
def test_every_text_of_the_sources_has_a_translation_and_none_is_left_over() -> None:
    assert set(TRANSLATED) == asked_for_by_sources()


@pytest.mark.parametrize("text", sorted(TRANSLATED))
def test_a_translation_has_the_same_places_for_numbers_and_the_same_end(text: str) -> None:
    translated = TRANSLATED[text]
    assert sorted(re.findall(r"%\d", translated)) == sorted(re.findall(r"%\d", text))
    assert translated and re.sub(r"[^.;]", "", translated[-1]) == re.sub(r"[^.;]", "", text[-1])


def test_jupyter_finds_the_pack() -> None:
    (point,) = importlib.metadata.entry_points(group="jupyterlab.locale", name="nbtune")
    folder = Path(str(point.load().__file__)).parent / "locale"
    assert [path.name for path in folder.iterdir()] == ["es_ES"]


@pytest.mark.parametrize("has_ipykernel", [True, False])
def test_the_server_gets_the_pack_without_torch_and_without_a_kernel(has_ipykernel: bool) -> None:
    script = f"""
import sys
sys.modules.update(dict.fromkeys(("torch", "bokeh", "anywidget", "ipywidgets", "numpy")))
{"import ipykernel.kernelspec" if has_ipykernel else "sys.modules['ipykernel'] = sys.modules['comm'] = None"}
from jupyterlab_server.translation_utils import get_language_pack
print(sorted(get_language_pack("es_ES")[0]["nbtune"])[0] == "" and "ipykernel.kernelbase" not in sys.modules)"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout.strip()) == (0, "True"), run.stderr
