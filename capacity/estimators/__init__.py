"""Estimates with their intervals, and a code with its numbers where there is none."""
