"""What a widget sends to the browser: modules that run as one text, and style sheets whose names all exist."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tasks import plain_task

import nbtune.widgets
from nbtune.plots.base.tokens import TOKENS
from nbtune.widgets import BatchComparison, BatchProber, DescentExplorer, LRFinder
from nbtune.widgets.panel.bokeh_plot import BokehPlot

WIDGETS = Path(nbtune.widgets.__file__).parent
ALL = [BatchComparison, BatchProber, BokehPlot, DescentExplorer, LRFinder]

STYLELESS = {"button", "selected", "stepped"}
"""Class names that are set and have no style: "button" keeps the second name of each button for where the focus was."""


def text_of(pattern: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(WIDGETS.rglob(pattern)))


STYLE = text_of("*.css")
SCRIPT = text_of("*.js")
STYLED = set(re.findall(r"\.nbtune-([a-z0-9-]+)", STYLE))
SCRIPTED = set(re.findall(r"(?<![\w-])nbtune-([a-z][a-z0-9-]*)", SCRIPT))
"""What the panel's JavaScript names; ``row-`` stands for ``nbtune-row-${row}``."""


def nodes_of_python() -> Iterator[ast.AST]:
    for path in sorted(WIDGETS.rglob("*.py")):
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def words(nodes: Iterable[ast.AST]) -> set[str]:
    """Those of short texts, which may be names or styles; ``heat-`` stands for ``f"heat-{step}"``."""
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {word for text in texts if re.fullmatch(r"[\w -]+", text) for word in text.split()}


def styles_of_python() -> set[str]:
    """What is given as the style of a table's cell."""
    given: list[ast.AST] = []
    for node in nodes_of_python():
        if isinstance(node, ast.Dict):
            given += [v for k, v in zip(node.keys, node.values, strict=True) if k and ast.unparse(k) == "'style'"]
        if isinstance(node, ast.Assign) and "style" in re.findall(r"\w+", ast.unparse(node.targets[0])):
            given.append(node.value)
    asked = {"style"}  # of the cell itself: f"{cell['style']} total"
    return words(inner for node in given for inner in ast.walk(node)) - asked


def is_among(name: str, words: set[str]) -> bool:
    """Whether one of the words is the name, or its beginning as far as a hyphen."""
    return name in words or any(name.startswith(word) for word in words if word.endswith("-"))


def names_of_stages() -> set[str]:
    panels = [LRFinder(plain_task()), BatchProber(plain_task()), BatchComparison(plain_task()), DescentExplorer()]
    return {panel.tool for panel in panels} | {block["name"] for panel in panels for block in panel.blocks}


@pytest.mark.parametrize("widget", ALL)
def test_a_widgets_module_runs_as_one_text_and_renders(widget: type, tmp_path: Path) -> None:
    module = tmp_path / "widget.mjs"
    module.write_text(str(widget._esm), encoding="utf-8")
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    ask = f"import({module.as_uri()!r}).then(({{ default: widget }}) => console.log(typeof widget.render))"
    ran = subprocess.run([node, "--eval", ask], capture_output=True, text=True, timeout=60)
    assert (ran.stdout.strip(), ran.stderr) == ("function", "")


def test_every_class_that_has_a_style_is_set_by_something() -> None:
    known = SCRIPTED | words(nodes_of_python())
    assert {name for name in STYLED if not is_among(name, known)} == set()


def test_every_class_that_is_set_has_a_style() -> None:
    given = SCRIPTED | styles_of_python()
    assert len(styles_of_python()) > 5
    begun = {name for name in given if name.endswith("-") and any(style.startswith(name) for style in STYLED)}
    assert given - STYLED - begun == STYLELESS


def test_every_block_mode_tool_and_mark_of_a_style_sheet_exists() -> None:
    known = names_of_stages() | words(nodes_of_python())
    assert set(re.findall(r'\[data-\w+="(\w+)"\]', STYLE)) - known == set()


def test_every_variable_of_a_style_sheet_is_given_and_asked_for() -> None:
    given = set(re.findall(r"--(nbtune-[\w-]+):", STYLE))
    asked = set(re.findall(r"var\(--(nbtune-[\w-]+)", STYLE))
    tokens = {f"nbtune-{token.replace('_', '-')}" for token in TOKENS["light"]}
    assert asked - given - tokens - set(re.findall(r'"--(nbtune-[\w-]+)"', SCRIPT)) == set()
    assert given - asked == set()
