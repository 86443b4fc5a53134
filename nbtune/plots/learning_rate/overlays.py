"""What races and sweeps share beside their own marks: theory's line, the band over data orders and its ticks."""

from __future__ import annotations

from ..base.marks import Mark

UPRIGHT = ("x", "bottom", "top")
REGION = ("left", "right", "bottom", "top")
BAND = ("x", "low", "high")
SOURCES = {"start": ("y",), "theory": UPRIGHT, "orders": BAND, "order_ticks": UPRIGHT}
"""Columns of the marks below."""

START = Mark("rule", "start", line="axis", width=1.2, dash=(2, 4))
THEORY = Mark("segment", "theory", line="ink", width=1.2, dash=(8, 3, 2, 3))
ORDERS = Mark("area", "orders", fill="data", alpha=0.22)
ORDER_TICKS = Mark("segment", "order_ticks", line="answer", width=1.6)
OFF = Mark("points", "off", line="danger", width=1.3, marker="triangle")
