"""``BatchProber``: its fields, its words, its tables, and what it draws."""
