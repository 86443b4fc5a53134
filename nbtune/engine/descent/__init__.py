"""Gradient descent on a surface over two weights, for looking at; knows no task and no torch."""
