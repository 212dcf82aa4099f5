"""Analysis of recorded runs, from the raw records to the result table, the verdicts and the report."""
