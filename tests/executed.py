"""Notebooks after a run from top to bottom, unattended, and what they show then."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient
from repository import kept_tutorials


def tutorial(name: str) -> nbformat.NotebookNode:
    """As git keeps it."""
    return nbformat.reads(kept_tutorials()[name], as_version=4)


def executed(*more: str, notebook: nbformat.NotebookNode | None = None) -> nbformat.NotebookNode:
    """A notebook (a new one, if none is given) with more cells behind its own, after a run in a kernel of its own."""
    notebook = notebook or nbformat.v4.new_notebook()
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in more]
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") for o in outputs(notebook))


def has_picture_beside(words: str, notebook: nbformat.NotebookNode) -> bool:
    shown = [o.data for o in outputs(notebook) if words in str(o.get("data", ""))]
    return any("image/png" in data for data in shown)
