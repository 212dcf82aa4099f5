"""Audit of a published result table: find rows that are impossible or need an explanation."""
