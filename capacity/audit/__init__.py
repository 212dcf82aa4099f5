"""Audit of a published result table: find impossible rows, and rows that need an explanation."""
