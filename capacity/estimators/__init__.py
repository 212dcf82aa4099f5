"""Formulas that estimate figures, with their intervals, from arrays of times and counts.

A missing estimate has a reason, which is a code with its numbers.
"""
