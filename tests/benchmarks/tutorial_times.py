"""What the third tutorial says of time, executed here and compared with what its text claims.

python tests/benchmarks/tutorial_times.py

On a machine that does nothing else. Ratios of times are no tests: another program decides them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_sgd_or_mini_batch.ipynb"
# What is printed → least and most.
CLAIMS = {
    r"an epoch at k = 1 takes up to (\d+)×": (5, float("inf")),
    r"one pass at k = 1 takes (\d+)×": (10, float("inf")),
    r"a step on 256 samples takes ([\d.]+)×": (0, 26),
}


def printed() -> str:
    """What the tutorial prints, run by a kernel of its own."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


def main() -> int:
    """Print each ratio with its claim; the number of claims that do not hold."""
    text, wrong = printed(), 0
    for pattern, (least, most) in CLAIMS.items():
        found = re.search(pattern, text)
        holds = found is not None and least < float(found[1]) < most
        wrong += not holds
        print(f"{'holds' if holds else 'FAILS'}  {found[0] if found else pattern}  (claimed: {least} to {most})")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
