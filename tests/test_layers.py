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
    "engine": {"torch", "numpy", "tqdm", "nbtune.formats", "nbtune.jobs", "nbtune.host_memory"},
    "session": set(),
    "formats": set(),
    "jobs": set(),
    "host_memory": set(),
    "monitor": {"nbtune.jobs", "nbtune.host_memory"},
    "plots": {"bokeh", "numpy", "nbtune.formats"},
    "widgets": {
        "anywidget", "ipywidgets", "traitlets", "IPython", "bokeh", "numpy",
        "nbtune.engine", "nbtune.session", "nbtune.plots", "nbtune.formats", "nbtune.jobs",
    },
    "__init__": {"nbtune.engine", "nbtune.plots", "nbtune.widgets"},
}  # fmt: skip

LATER = {"host_memory": {"psutil"}, "monitor": {"comm"}}
"""What they may import inside a function alone: only some machines have it."""

PICTURES = {"nbtune.plots.base.picture", "nbtune.plots.base.sentence"}
"""One draws with matplotlib, where it is installed, the other measures words with it."""


def imports(source: str, module: str, *, at_once: bool = False) -> set[str]:
    """Absolute names of what a module imports at run time; imports for type checkers alone do not count.

    Args:
        source: Of the module.
        module: Its name.
        at_once: Leave out what is imported inside functions.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
        if at_once and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
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
    found = imports(source, module) - (LATER.get(layer, set()) - imports(source, module, at_once=True))
    return {
        name
        for name in found
        if name.split(".")[0] not in STDLIB and not any(name == a or name.startswith(f"{a}.") for a in allowed)
    }


def test_every_file_imports_from_its_own_layer_and_those_below_alone() -> None:
    files = [file for file in ROOT.rglob("*.py") if "node_modules" not in file.parts]
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
    assert violations("from .engine.task import Task", "nbtune.monitor") == {"nbtune.engine.task"}
    assert violations("from ..monitor import announce", "nbtune.engine.findings") == {"nbtune.monitor"}
    assert violations("import psutil", "nbtune.host_memory") == {"psutil"}
    assert violations("def f():\n    import psutil", "nbtune.host_memory") == set()
    assert (
        violations("import torch\nfrom .task import Task\nfrom ..formats import format_lr", "nbtune.engine.x") == set()
    )
