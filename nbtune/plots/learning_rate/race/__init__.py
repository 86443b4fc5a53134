"""A race: every rate's losses beside their scores."""
