"""What runs and what was found in this process, for whoever shows it beside the notebook. Standard library only.

Tools write on the board, nobody needs to read it: a job says how far it is only when it is asked.
"""

from .board import BOARD, RESULTS_KEPT, Board
from .call import Call, listed
from .finding import Finding, Forecast
from .job import Job, Progress, Tool, reference_to

__all__ = [
    "BOARD", "RESULTS_KEPT", "Board", "Call", "Finding", "Forecast", "Job", "Progress", "Tool", "listed",
    "reference_to",
]  # fmt: skip
