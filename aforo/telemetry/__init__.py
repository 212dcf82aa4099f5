"""Metrics of a Celery worker: what is measured, how it is collected, and how /metrics is served."""
