"""The repository's files as they are kept, whatever somebody who tried them has left in the working tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGED = Path(sys.prefix) / "share/jupyter/labextensions/nbtune/static/tutorials"
"""Where an installed nbtune keeps its tutorials, which the extension copies into the reader's folder."""


def kept_tutorials() -> dict[str, str]:
    """File name → text of every tutorial that git keeps; without git (in an sdist), of those that are installed.

    Text is that of git's index: what was committed, or is about to be.
    """
    names = _git("ls-files", "--cached", "notebooks/*.ipynb")
    if names is None:
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(PACKAGED.glob("*.ipynb"))}
    return {Path(name).name: str(_git("show", f":{name}")) for name in names.splitlines()}


def is_environment(place: str) -> bool:
    """Whether a virtual environment lies there."""
    return bool(place) and (Path(place) / "bin" / "python").exists()


def _git(*arguments: str) -> str | None:
    """What git says; None where there is no git, or this is no clone."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("utf-8")
