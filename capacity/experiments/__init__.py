"""Experiments that run tests themselves: matrix, rate search, early stop."""
