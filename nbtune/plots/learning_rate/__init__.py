"""Figures of searches for η. What race and sweep share stands here; each has a room of its own below."""
