"""Measure a Celery worker: count what its tasks, slots and machine do, and serve the metrics on /metrics."""
