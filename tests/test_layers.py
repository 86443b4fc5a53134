"""Three leaves and one root, and the rooms inside them: who may import whom is listed here, everything else fails.

An import counts wherever it stands: for type checkers alone, or inside a function.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import nbtune

ROOT = Path(nbtune.__file__).parent
STDLIB = set(sys.stdlib_module_names)

# What the files of a layer may import beside the standard library and the layer itself.
ALLOWED = {
    "engine": {"torch", "numpy", "tqdm", "nbtune.cell_line", "nbtune.formats", "nbtune.jobs", "nbtune.host_memory"},
    "session": set(),
    "cell_line": set(),
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

LATER = {
    "cell_line": {"IPython.get_ipython", "IPython.display.display"},
    "host_memory": {"psutil"},
    "monitor": {"comm"},
}
"""What they may import inside a function alone: only some machines have it."""

NAMED = {"plots": {"nbtune.engine"}}
"""What they may name for type checkers alone: no run of theirs loads it."""

PICTURES = {"nbtune.plots.base.picture", "nbtune.plots.base.sentence"}
"""One draws with matplotlib, where it is installed, the other measures words with it."""

BELOW_ALL = {
    "checks", "direction", "errors", "finding", "headless", "interrupts", "plain_data", "run", "small_print",
    "torch_modes", "waits",
}  # fmt: skip
"""Files of the engine that stand below its rooms: every room may import them, and they import none."""

ROOMS: dict[str, dict[str, set[str]]] = {
    "engine": {
        "device": set(),
        "task": {"device"},
        "training": {"task", "device"},
        "memory": {"training", "task", "device"},
        "curvature": {"training", "task", "device"},
        "learning_rate": {"curvature", "training", "task", "device"},
        "batch_size": {"memory", "training", "task", "device"},
        "comparison": {"learning_rate", "memory", "training", "task", "device"},
        "descent": set(),
    },
    "plots": {"base": set(), **{room: {"base"} for room in ("learning_rate", "memory", "comparison", "descent")}},
    "widgets": {
        "panel": set(),
        **{room: {"panel"} for room in ("learning_rate", "batch_size", "comparison", "descent")},
    },
}
"""Inside a layer: what each room may import of the others."""

Imports = Mapping[str, Iterable[str]]


@cache
def modules() -> dict[str, Path]:
    files = [file for file in ROOT.rglob("*.py") if "node_modules" not in file.parts]
    return {".".join(["nbtune", *file.relative_to(ROOT).with_suffix("").parts]): file for file in files}


def named_in(source: str | ast.AST, module: str) -> Iterator[tuple[ast.AST, str]]:
    """(node, absolute name) of everything that a module imports.

    Args:
        source: Of the module, as text or as a tree.
        module: Its name; a package's ends with ``__init__``, so that relative imports are read alike.
    """
    for node in ast.walk(ast.parse(source) if isinstance(source, str) else source):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node, f"{name}.{alias.name}") for alias in node.names)


def imports(source: str, module: str, *, at_once: bool = False) -> set[str]:
    """What a module imports at run time; imports for type checkers alone do not count.

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
    return {name for _, name in named_in(tree, module)}


def is_within(name: str, allowed: Iterable[str]) -> bool:
    return any(name == a or name.startswith(f"{a}.") for a in allowed)


def violations(source: str, module: str) -> set[str]:
    """What a module imports from a layer that it may not."""
    layer = module.split(".")[1]
    allowed = ALLOWED[layer] | {f"nbtune.{layer}"}
    if module in PICTURES:
        allowed = allowed | {"matplotlib"}
    at_run_time = imports(source, module) - (LATER.get(layer, set()) - imports(source, module, at_once=True))
    own = {name for _, name in named_in(source, module) if name.startswith("nbtune")} - at_run_time
    named = {name for name in own if layer != "__init__" and not is_within(name, NAMED.get(layer, ()))}
    return {name for name in at_run_time | named if name.split(".")[0] not in STDLIB and not is_within(name, allowed)}


def room_of(module: str) -> tuple[str, str]:
    """Layer and room; of a file outside all rooms its own name, "" for the layer's ``__init__``."""
    _, layer, *rest = [part for part in module.split(".") if part != "__init__"] + [""]
    return layer, rest[0] if rest else ""


def trespasses(source: str, module: str) -> set[str]:
    """What a module imports from a room that it may not."""
    layer, room = room_of(module)
    if layer not in ROOMS or not room:
        return set()  # a layer's __init__ shows what is in all of its rooms
    rooms, below = ROOMS[layer], BELOW_ALL if layer == "engine" else set()
    allowed = {room} | below if room in rooms else below
    allowed |= rooms.get(room, set())
    own = [name for _, name in named_in(source, module) if name.startswith(f"nbtune.{layer}.")]
    return {name for name in own if name.split(".")[2] not in allowed} | _from_a_sister(own, module)


def _from_a_sister(own: Iterable[str], module: str) -> set[str]:
    """Of a room inside a room: what it takes from the one beside it. Both may take from the room around them."""
    parts = module.split(".")
    if len(parts) < 5:
        return set()
    around, here = ".".join(parts[:3]), parts[3]
    inner = {m.split(".")[3] for m in modules() if m.startswith(f"{around}.") and len(m.split(".")) > 4}
    forbidden = inner - {here} - STAIRS.get((around, here), set())
    return {name for name in own if is_within(name, {f"{around}.{room}" for room in forbidden})}


STAIRS = {
    ("nbtune.engine.memory", "replay"): {"rehearsal"},
    ("nbtune.engine.memory", "sharding"): {"rehearsal", "replay"},
}
"""Rooms inside a room of which one may take from the other: what was rehearsed is replayed, and divided."""


def borrowed_privates(source: str, module: str) -> set[str]:
    """Names with an underscore that a module takes from another file."""
    found = {name for _, name in named_in(source, module) if name.startswith("nbtune") and _is_private(name)}
    names = {
        (alias.asname or alias.name).split(".")[-1]: name
        for node, name in named_in(source, module)
        for alias in getattr(node, "names", ())
        if name.startswith("nbtune.") and name.endswith(f".{alias.name}") and _module_of(name) == name
    }
    for node in ast.walk(ast.parse(source)):
        is_attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if is_attribute and node.value.id in names and _is_private(node.attr):
            found.add(f"{names[node.value.id]}.{node.attr}")
    return found


def _is_private(name: str) -> bool:
    last = name.split(".")[-1]
    return last.startswith("_") and not last.startswith("__")


def _module_of(name: str) -> str | None:
    """The module that a name stands for or is found in; None outside nbtune."""
    while name:
        if name in modules() or f"{name}.__init__" in modules():
            return name
        name = name.rpartition(".")[0]
    return None


def circles(edges: Imports) -> list[set[str]]:
    """Groups of nodes from each of which every other can be reached."""
    reach = {node: _reached(node, edges) for node in edges}
    found = [{other for other in reach[node] if node in reach.get(other, ())} | {node} for node in edges]
    return [group for i, group in enumerate(found) if len(group) > 1 and group not in found[:i]]


def _reached(node: str, edges: Imports) -> set[str]:
    seen: set[str] = set()
    ahead = list(edges.get(node, ()))
    while ahead:
        at = ahead.pop()
        if at not in seen:
            seen.add(at)
            ahead += edges.get(at, ())
    return seen


def files_and_their_imports() -> dict[str, set[str]]:
    """Between files, by their names without ``__init__``; a package's own names stand for its ``__init__``."""
    edges = {}
    for module, file in modules().items():
        node = module.removesuffix(".__init__")
        found = {_module_of(name) for _, name in named_in(file.read_text(), module) if name.startswith("nbtune")}
        edges[node] = {name for name in found if name} - {node}
    return edges


def all_but_the_lawful(check: object) -> dict[str, set[str]]:
    assert callable(check)
    found = {module: check(file.read_text(), module) for module, file in modules().items()}
    return {module: bad for module, bad in found.items() if bad}


def test_every_file_imports_from_its_own_layer_and_those_below_alone() -> None:
    assert len(modules()) > 100
    assert all_but_the_lawful(violations) == {}


def test_every_room_imports_from_the_rooms_on_its_list_alone() -> None:
    for layer, rooms in ROOMS.items():
        folders = {m.split(".")[2] for m in modules() if m.startswith(f"nbtune.{layer}.") and len(m.split(".")) > 3}
        assert folders == set(rooms), f"a room of {layer} is not on the list"
    assert all_but_the_lawful(trespasses) == {}


def test_no_private_name_crosses_a_file() -> None:
    assert all_but_the_lawful(borrowed_privates) == {}


def test_neither_files_nor_rooms_go_round_in_circles() -> None:
    edges = files_and_their_imports()
    assert circles(edges) == []
    rooms: dict[str, set[str]] = {}
    for module, found in edges.items():
        rooms.setdefault(".".join(room_of(module)), set()).update(".".join(room_of(name)) for name in found)
    assert circles({room: found - {room} for room, found in rooms.items()}) == []


def test_neither_canvas_knows_the_other() -> None:
    live, picture = (f"nbtune.plots.base.{name}" for name in ("live", "picture"))
    edges = files_and_their_imports()
    assert picture not in _reached(live, edges) and live not in _reached(picture, edges)


def test_a_violation_would_be_seen() -> None:
    assert violations("import bokeh", "nbtune.engine.task.task") == {"bokeh"}
    assert violations("from ...widgets import LRFinder", "nbtune.plots.memory.view") == {"nbtune.widgets.LRFinder"}
    assert violations("def f():\n    import torch.nn", "nbtune.widgets.panel.panel") == {"torch.nn"}
    assert violations("import matplotlib", "nbtune.plots.memory.view") == {"matplotlib"}
    assert violations("from . import formats", "nbtune.session") == {"nbtune.formats"}
    assert violations("from .engine.task import Task", "nbtune.monitor") == {"nbtune.engine.task.Task"}
    assert violations("from ..monitor import announce", "nbtune.engine.finding") == {"nbtune.monitor.announce"}
    assert violations("import psutil", "nbtune.host_memory") == {"psutil"}
    assert violations("def f():\n    import psutil", "nbtune.host_memory") == set()
    lawful = "import torch\nfrom .task import Task\nfrom ...formats import format_lr"
    assert violations(lawful, "nbtune.engine.task.x") == set()
    named = "if TYPE_CHECKING:\n    from ...{} import X"
    assert violations(named.format("engine.task.task"), "nbtune.plots.memory.view") == set()
    assert violations(named.format("widgets"), "nbtune.plots.memory.view") == {"nbtune.widgets.X"}


def test_a_trespass_would_be_seen() -> None:
    def seen(source: str, module: str) -> bool:
        return bool(trespasses(source, f"nbtune.{module}"))

    assert seen("from ..memory.estimate import MemoryEstimate", "engine.training.trainer")
    assert seen("if TYPE_CHECKING:\n    from ..comparison.run import X", "engine.learning_rate.find")
    assert seen("def f():\n    from ..learning_rate.find import find_lr", "engine.batch_size.probe")
    assert seen("from .task.task import Task", "engine.finding")
    assert seen("from .. import engine\nfrom ..comparison import rows", "plots.memory.view")
    assert seen("from ..memory.view import x", "plots.base.frame")
    assert seen("from ..sweep.scene import x", "plots.learning_rate.race.scene")
    assert seen("from ..comparison.widget import x", "widgets.learning_rate.finder")
    assert not seen("from ..scene import x", "plots.learning_rate.race.scene")
    assert not seen("from ..memory.estimate import estimate_memory", "engine.comparison.run")


def test_a_borrowed_private_and_a_circle_would_be_seen() -> None:
    assert borrowed_privates("from .task import _check", "nbtune.engine.task.order") == {
        "nbtune.engine.task.task._check"
    }
    taken = "from . import batches\nbatches._as_loader()"
    assert borrowed_privates(taken, "nbtune.engine.task.task") == {"nbtune.engine.task.batches._as_loader"}
    assert borrowed_privates("import numpy\nnumpy._x", "nbtune.engine.task.task") == set()
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [{"a", "b", "c"}]
    assert circles({"a": ["b"], "b": []}) == []
