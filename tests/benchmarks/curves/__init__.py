"""A table of learning curves, and searches replayed on it in simulated time."""
