"""Metrics of a Celery worker."""
