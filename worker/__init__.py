"""The instrumented Celery worker."""

VERSION = "0.1.0"
