"""Widgets for notebooks: the engine's runs, live."""

from .batch_comparison import BatchComparison
from .batch_prober import BatchProber
from .bokeh_plot import BokehPlot
from .descent_explorer import DescentExplorer
from .lr_finder import LRFinder

__all__ = ["BatchComparison", "BatchProber", "BokehPlot", "DescentExplorer", "LRFinder"]
