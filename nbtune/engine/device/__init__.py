"""The machine a task runs on: what a card can hold, and what counts as out of memory.

Knows no task and no tool.
"""
