"""Database exporter: exact per-run values, updated by reading only changed rows (docs/adr/0008).

1. `source` refreshes on each scrape, and runs full counts in the background.
2. `reader` executes the statements of `sql/`, which `statements` adapts to the user's own table.
3. `recount` feeds the rows into `run_aggregates`, whose sums are the tallies of `tally`.
4. `families` turns the aggregates into metric families. `run_text` caches their text per run.
"""
