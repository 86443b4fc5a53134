"""Builds the API reference from the docstrings. A warning is an error.

    python tests/reference.py [FOLDER]

FOLDER is build/api without one; open its index.html.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pdoc

import nbtune

MODULES = ("nbtune", "nbtune.engine", "nbtune.plots", "nbtune.widgets", "nbtune.session")


def build(folder: Path) -> None:
    """Write the pages of ``MODULES``."""
    warnings.simplefilter("error")
    # pdoc looks into a module's own dictionary, where names that are loaded when they are first used do not stand yet.
    for name in nbtune.__all__:
        setattr(nbtune, name, getattr(nbtune, name))
    pdoc.render.configure(docformat="google", search=True)
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else "build/api"))
