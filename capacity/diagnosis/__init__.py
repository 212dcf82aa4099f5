"""Diagnosis of a run: which resource limits it, and whether its figures may be used."""
