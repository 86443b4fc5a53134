"""The tutorials as git keeps them."""

from __future__ import annotations

import nbformat
import pytest
from repository import kept_tutorials

KEPT = kept_tutorials()


@pytest.mark.parametrize("name", KEPT)
def test_a_tutorial_is_kept_without_outputs(name: str) -> None:
    notebook = nbformat.reads(KEPT[name], as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)
