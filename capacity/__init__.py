"""Turns recorded data into the result table, verdicts and the report."""
