"""``BatchComparison``: its fields, its words, its table, and what it draws."""
