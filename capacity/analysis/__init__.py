"""Analysis of recorded runs."""
