"""Three leaves and one root: the imports of every file stay inside its layer."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import nbtune

ROOT = Path(nbtune.__file__).parent
STDLIB = set(sys.stdlib_module_names)

# What the files of a layer may import beside the standard library and the layer itself.
ALLOWED = {
    "engine": {"torch", "numpy", "tqdm", "nbtune.formats"},
    "session": set(),
    "formats": set(),
    "plots": {"bokeh", "numpy", "nbtune.formats"},
    "widgets": {
        "anywidget", "ipywidgets", "traitlets", "IPython", "bokeh", "numpy",
        "nbtune.engine", "nbtune.session", "nbtune.plots", "nbtune.formats",
    },
    "__init__": {"nbtune.engine", "nbtune.plots", "nbtune.widgets"},
}  # fmt: skip

PICTURES = {f"nbtune.plots.{name}" for name in ("picture", "memory_picture", "memory_table_pictures", "sentence")}
"""They draw with matplotlib, where it is installed."""


def imports(source: str, module: str) -> set[str]:
    """Absolute names of what a module imports at run time; imports for type checkers alone do not count."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{name}.{alias.name}" for alias in node.names} if name == "nbtune" else {name}
    return found


def violations(source: str, module: str) -> set[str]:
    layer = module.split(".")[1]
    allowed = ALLOWED[layer] | {f"nbtune.{layer}"}
    if module in PICTURES:
        allowed = allowed | {"matplotlib"}
    return {
        name
        for name in imports(source, module)
        if name.split(".")[0] not in STDLIB and not any(name == a or name.startswith(f"{a}.") for a in allowed)
    }


def test_every_file_imports_from_its_own_layer_and_those_below_alone() -> None:
    files = list(ROOT.rglob("*.py"))
    assert len(files) > 15
    found = {}
    for file in files:
        # A package's __init__ counts as a module in it, so that relative imports are read alike.
        module = ".".join(["nbtune", *file.relative_to(ROOT).with_suffix("").parts])
        found[module] = violations(file.read_text(), module)
    assert len(found) == len(files)
    assert {module: bad for module, bad in found.items() if bad} == {}


def test_a_violation_would_be_seen() -> None:
    assert violations("import bokeh", "nbtune.engine.task") == {"bokeh"}
    assert violations("from ..widgets import LRFinder", "nbtune.plots.lr_curve") == {"nbtune.widgets"}
    assert violations("def f():\n    import torch.nn", "nbtune.widgets.lr_finder") == {"torch.nn"}
    assert violations("import matplotlib", "nbtune.plots.lr_curve") == {"matplotlib"}
    assert violations("from . import formats", "nbtune.session") == {"nbtune.formats"}
    assert (
        violations("import torch\nfrom .task import Task\nfrom ..formats import format_lr", "nbtune.engine.x") == set()
    )
