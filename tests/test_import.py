"""What importing nbtune costs and needs, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import nbtune

BLOCK = "import sys\nsys.modules.update(dict.fromkeys({names!r}))\n"  # None there means: not to be imported
TRAIN = """
import torch
from nbtune.engine import Task, find_lr
model = torch.nn.Linear(4, 2)
data = torch.randn(64, 4), torch.randint(0, 2, (64,))
task = Task(model, torch.optim.SGD(model.parameters(), 0.1), torch.nn.functional.cross_entropy, data)
print(len(find_lr(task).steps))
"""


def output_of(source: str) -> str:
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_nbtune_loads_neither_torch_nor_bokeh() -> None:
    loaded = "import sys, nbtune; print([m for m in ('torch', 'bokeh', 'ipywidgets', 'numpy') if m in sys.modules])"
    assert output_of(loaded) == "[]"


def test_the_engine_runs_where_no_front_end_is_installed() -> None:
    absent = ["bokeh", "ipywidgets", "anywidget", "IPython", "tqdm", "matplotlib", "traitlets"]
    assert int(output_of(BLOCK.format(names=absent) + TRAIN)) > 10


def test_every_public_name_is_there_and_listed() -> None:
    assert set(nbtune.__all__) <= set(dir(nbtune))
    assert all(getattr(nbtune, name).__name__ == name for name in nbtune.__all__)
    assert not hasattr(nbtune, "no_such_name")
