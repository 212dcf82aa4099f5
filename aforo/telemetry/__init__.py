"""Measure the tasks, slots and machine of a Celery worker, and serve the metrics on /metrics."""
