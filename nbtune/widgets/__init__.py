"""Widgets for notebooks: the engine's runs, live."""

from .batch_prober import BatchProber
from .bokeh_plot import BokehPlot
from .lr_finder import LRFinder

__all__ = ["BatchProber", "BokehPlot", "LRFinder"]
