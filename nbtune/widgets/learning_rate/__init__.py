"""``LRFinder``: its fields, its words, and what it draws."""
