"""Tutorials after a run from top to bottom, unattended, and what they show then."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient
from repository import kept_tutorials


def executed(name: str, more: str = "") -> nbformat.NotebookNode:
    """The notebook, as git keeps it, after a run of its own kernel; with one more cell, if ``more`` is given."""
    notebook = nbformat.reads(kept_tutorials()[name], as_version=4)
    if more:
        notebook.cells.append(nbformat.v4.new_code_cell(more))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") for o in outputs(notebook))


def has_picture_beside(words: str, notebook: nbformat.NotebookNode) -> bool:
    shown = [o.data for o in outputs(notebook) if words in str(o.get("data", ""))]
    return any("image/png" in data for data in shown)
