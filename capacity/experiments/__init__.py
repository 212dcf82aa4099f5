"""Experiments that carry out runs themselves: the matrix, the rate search, and the early stop."""
