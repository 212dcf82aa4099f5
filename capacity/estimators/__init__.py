"""Formulas that estimate figures, with their intervals, from arrays of times and counts.

If an estimate cannot be computed, a `Reason` says why. It consists of a code and numbers for the user's message.
"""
