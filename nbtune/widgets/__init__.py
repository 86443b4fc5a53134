"""Widgets for notebooks: the engine's runs, live."""

from .batch_size.prober import BatchProber
from .comparison.widget import BatchComparison
from .descent.explorer import DescentExplorer
from .learning_rate.finder import LRFinder
from .panel.bokeh_plot import BokehPlot

__all__ = ["BatchComparison", "BatchProber", "BokehPlot", "DescentExplorer", "LRFinder"]
