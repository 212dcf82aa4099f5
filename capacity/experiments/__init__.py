"""Carry out series of runs: a matrix, or a search for the highest sustainable rate.

A matrix measures each combination of size, concurrency, number of workers and mode.
"""
