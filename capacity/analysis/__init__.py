"""Analysis of recorded runs: compute the figures, checks and bottleneck of each run."""
