"""Formulas that estimate figures, with their intervals, from arrays of times and counts.

If an estimate cannot be computed, a `Reason` says why. A `Reason` is a code, with the numbers for a message to the
user.
"""
