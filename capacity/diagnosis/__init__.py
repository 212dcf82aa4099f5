"""Diagnosis of a run: its bottleneck, and the quality of its data."""
