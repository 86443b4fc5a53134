"""The kernel's side of the JupyterLab extension: says over a comm, once a second, what the memory and the jobs are.

``import nbtune`` in a kernel opens a comm, says hello over it once, and stays silent. Whoever comes later finds its id
by asking the kernel for the comms of the target ``TARGET``, and sends ``{"kind": "watch"}``; from then on one thread
sends a status a second to everybody who listens, also while a cell blocks, until all who watch have said
``{"kind": "leave"}``. While nothing runs and nothing changes it is silent: Jupyter takes every message for activity,
and would never cull an idle kernel.
Standard library alone; of torch it asks only what torch already knows.
"""

from .kernel import TARGET, announce
from .monitor import SCHEMA, Monitor

__all__ = ["SCHEMA", "TARGET", "Monitor", "announce"]
