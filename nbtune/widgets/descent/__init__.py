"""``DescentExplorer``: sliders over a descent."""
