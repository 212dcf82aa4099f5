"""Experiments: the matrix and the rate search, which start runs, and the early stop of a burst."""
