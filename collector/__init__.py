"""Collector: read execution records of instrumented workers over HTTP and store them in the database."""
