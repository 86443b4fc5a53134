"""nbtune with the oldest versions of what it requires.

python tests/oldest.py
    prints them as requirements, all but torch: its 2.6 comes with gigabytes of CUDA, so the installed one has to do.
python -W error tests/oldest.py --import
    imports every module of nbtune; a warning is an error.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path


def oldest_requirements() -> list[str]:
    """``name==version`` for every requirement but torch."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pairs = (requirement.split(">=") for requirement in project["dependencies"])
    return [f"{name}=={least}" for name, least in pairs if name != "torch"]


def import_all() -> list[str]:
    """The names of nbtune's modules, all of which have then been imported."""
    nbtune = importlib.import_module("nbtune")
    names = sorted(module.name for module in pkgutil.walk_packages(nbtune.__path__, "nbtune."))
    for name in names:
        importlib.import_module(name)
    return names


def main() -> None:
    if "--import" not in sys.argv:
        print("\n".join(oldest_requirements()))
        return
    print(f"{len(import_all())} modules of nbtune imported, warnings are errors, with")
    names = [requirement.partition("==")[0] for requirement in oldest_requirements()]
    print("  " + ", ".join(f"{name} {version(name)}" for name in ("torch", *names)))


if __name__ == "__main__":
    main()
