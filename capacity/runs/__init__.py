"""Recorded runs: database, archive, resource samples, result row."""
