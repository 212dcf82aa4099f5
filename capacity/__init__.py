"""Analyse recorded data: the result table, verdicts and the report."""
