"""Audit of a published result table: which rows cannot be true, and which need an explanation."""
