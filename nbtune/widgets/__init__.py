"""Widgets for notebooks: the engine's runs, live."""

from .bokeh_plot import BokehPlot
from .lr_finder import LRFinder

__all__ = ["BokehPlot", "LRFinder"]
