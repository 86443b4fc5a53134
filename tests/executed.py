"""Tutorials after a run from top to bottom, unattended, and what they show then."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient
from repository import ROOT


def executed(name: str) -> nbformat.NotebookNode:
    """The notebook after a run of its own kernel."""
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") for o in outputs(notebook))


def has_picture_beside(words: str, notebook: nbformat.NotebookNode) -> bool:
    shown = [o.data for o in outputs(notebook) if words in str(o.get("data", ""))]
    return any("image/png" in data for data in shown)
