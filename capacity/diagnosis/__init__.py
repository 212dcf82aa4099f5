"""Diagnosis of a run: what limits it, and how far its numbers can be used."""
