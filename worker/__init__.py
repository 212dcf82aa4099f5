"""The instrumented Celery worker."""
