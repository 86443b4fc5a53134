"""A path over its surface, and its loss step by step."""
