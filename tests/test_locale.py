"""The Spanish texts of the extension are those its sources ask for, no more and no fewer."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import pytest

import nbtune

LAB = Path(nbtune.__file__).parent / "lab"
PACK = json.loads((Path(nbtune.__file__).parent / "locale/es_ES/LC_MESSAGES/nbtune.json").read_text("utf-8"))
TRANSLATED = {key: values[0] for key, values in PACK.items() if key}
# As JupyterLab marks what it takes from a settings schema.
SCHEMA_MARK = "schema\x04"


def asked_for_by_sources() -> set[str]:
    sources = "".join(path.read_text("utf-8") for path in sorted((LAB / "src").glob("*.ts*")))
    calls = re.findall(r"\b__\(\s*(.)", sources)
    texts = re.findall(r"\b__\(\s*'((?:[^'\\]|\\.)*)'", sources)
    # Else a text would be put together, and no translation could ever match it. Two are the function itself.
    assert sum(quote in "'`\"" for quote in calls) == len(texts) > 60
    return set(texts)


def asked_for_by_the_schema() -> set[str]:
    schema = json.loads((LAB / "schema" / "beside.json").read_text("utf-8"))

    def texts(node: Any) -> set[str]:
        if not isinstance(node, dict):
            return set()
        own = {node[key] for key in ("title", "description") if isinstance(node.get(key), str)}
        return own.union(*(texts(value) for value in node.values()))

    return texts(schema) - {"nbtune"}


def test_every_text_of_the_sources_has_a_translation_and_none_is_left_over() -> None:
    own = {key for key in TRANSLATED if not key.startswith(SCHEMA_MARK)}
    assert own == asked_for_by_sources()


def test_every_text_of_the_settings_has_a_translation_and_none_is_left_over() -> None:
    own = {key.removeprefix(SCHEMA_MARK) for key in TRANSLATED if key.startswith(SCHEMA_MARK)}
    assert own == asked_for_by_the_schema()


@pytest.mark.parametrize("text", sorted(TRANSLATED))
def test_a_translation_has_the_same_places_for_numbers_and_the_same_end(text: str) -> None:
    translated = TRANSLATED[text]
    assert sorted(re.findall(r"%\d", translated)) == sorted(re.findall(r"%\d", text))
    assert translated and re.sub(r"[^.;]", "", translated[-1]) == re.sub(r"[^.;]", "", text[-1])


def test_jupyter_finds_the_pack() -> None:
    (point,) = importlib.metadata.entry_points(group="jupyterlab.locale", name="nbtune")
    folder = Path(str(point.load().__file__)).parent / "locale"
    assert [path.name for path in folder.iterdir()] == ["es_ES"]
