"""What every tool's widget shares: controls, stage, progress, sentence, the life of a run, the browser's side of it.

Knows no tool; a tool's room imports from here and never from another tool's.
"""
