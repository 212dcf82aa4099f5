"""Recorded runs: read them from the database or their archives, with their resource samples."""
